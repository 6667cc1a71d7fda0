"""The searches: what has to hold, the seeded faults that have to be found, and the limits that no protocol removes."""

from tests.protocol.lease_model import TTL, LeaseModel
from tests.protocol.lease_row import AS_IT_IS
from tests.protocol.run_model import Rules
from tests.protocol.search import STUCK, Model
from tests.protocol.work_model import FIRES, FIRES_AGAIN, LATE, RESOLVES, WorkModel

SQL = AS_IT_IS
PLAIN = Rules(checks_identity=False)  # such as a command, or a call over HTTP
TWICE = (FIRES, LATE)

# Every property holds in every state.
HOLDS: dict[str, Model] = {
    "the lease": LeaseModel(),
    "one replica that acts": WorkModel(replicas=1, alerts=(FIRES, LATE, RESOLVES)),
    "an effect that checks no identity": WorkModel(alerts=TWICE, rules=PLAIN),
    "an alert that is resolved": WorkModel(alerts=(FIRES, RESOLVES)),
    "a limit of one run": WorkModel(replicas=1, alerts=TWICE, rules=Rules(max_admitted=1)),
    "deliveries in any order": WorkModel(alerts=(FIRES, LATE, RESOLVES), are_deliveries_slow=True),
    "work that outlives its term": WorkModel(
        alerts=(FIRES, LATE), are_deliveries_slow=True, ends_work_with_the_term=False
    ),
}
# The same with more replicas, more alerts and more that goes wrong, for minutes.
HOLDS_FOR_LONG: dict[str, Model] = {
    "the lease of three": LeaseModel(replicas=3),
    "a database whose clock jumps ahead": LeaseModel(faults=frozenset({"clock ahead"})),
    "a database whose clock goes back": LeaseModel(faults=frozenset({"clock back"})),
    "a standby that lacks the last commit": LeaseModel(faults=frozenset({"failover"})),
    "runs that outlive their term": WorkModel(alerts=TWICE, rules=PLAIN, ends_work_with_the_term=False),
    "three replicas": WorkModel(replicas=3, alerts=TWICE, rules=PLAIN),
    "three replicas and a resolved alert": WorkModel(replicas=3, alerts=(FIRES, RESOLVES)),
    "an alert that fires again": WorkModel(alerts=(FIRES, LATE, RESOLVES, FIRES_AGAIN)),
    "an identity, against every stop and clock": WorkModel(
        alerts=TWICE, rules=Rules(may_stop_before_sending=True), is_clock_steady=False
    ),
}
# A seeded fault, and the property that it breaks.
FAULTS: dict[str, tuple[Model, str]] = {
    "a renewal that is not scoped to its term": (
        LeaseModel(statements=SQL.altered("renew", " WHERE term = :term AND holder = :holder", "")),
        "A trusts its lease, but no longer has it",
    ),
    "an election without a new term": (
        WorkModel(
            alerts=(FIRES,),
            are_deliveries_slow=True,
            ends_work_with_the_term=False,
            statements=SQL.altered("elect", "term = term + 1", "term = term"),
        ),
        "a delivery is applied twice: the alert fires",
    ),
    "the client's clock instead of the database's": (
        LeaseModel(clocks=(0, 10, 0)),
        "A trusts its lease, but no longer has it",
    ),
    "trust from the answer instead of the question": (
        LeaseModel(is_trust_from_answer=True),
        "A trusts its lease, but no longer has it",
    ),
    "a lease that only the database's clock ends": (
        LeaseModel(abandoned_after=TTL + 1, faults=frozenset({"clock back"})),
        STUCK,
    ),
    "a lease that counts as abandoned too early": (
        LeaseModel(abandoned_after=1),
        "A trusts its lease, but no longer has it",
    ),
    "a write that checks the term, but not its holder": (
        LeaseModel(statements=SQL.altered("in_term", " AND holder = :holder", ""), faults=frozenset({"failover"})),
        "A writes without the lease",
    ),
    "an outcome that cannot be read counts as success": (
        WorkModel(replicas=1, alerts=TWICE, rules=Rules(checks_identity=False, takes_unknown_as_applied=True)),
        "two effects for one item",
    ),
    "an effect before its intent is committed": (
        WorkModel(alerts=(FIRES,), rules=Rules(sends_before_intent=True)),
        "the effect of run 1 is sent again",
    ),
    "an effect without a look at the lease": (
        WorkModel(alerts=TWICE, rules=Rules(checks_identity=False, checks_lease_before_sending=False)),
        "two effects for one item",
    ),
    "work that outlives its term, and writes in the next one": (
        WorkModel(
            alerts=(FIRES,), are_deliveries_slow=True, ends_work_with_the_term=False, fences_work_by_its_own_term=False
        ),
        "a delivery is applied twice: the alert fires",
    ),
    "deliveries marked up to the highest number": (
        WorkModel(alerts=(FIRES, LATE), are_deliveries_slow=True, marks_up_to_the_highest=True),
        "an accepted delivery is lost: the alert fires",
    ),
    "a deferred run that is not judged again": (
        WorkModel(
            replicas=1,
            alerts=(*TWICE, FIRES._replace(copy=2)),
            rules=Rules(max_admitted=1, judges_a_deferred_run_again=False),
        ),
        "more runs are admitted than the limit allows",
    ),
}
# What is not guaranteed, and is named in docs/explanation/replicas.md.
LIMITS: dict[str, tuple[Model, str]] = {
    "a process that stops between its last look at the lease and the effect": (
        WorkModel(alerts=TWICE, rules=Rules(checks_identity=False, may_stop_before_sending=True)),
        "two effects for one item",
    ),
    "a database whose clock jumps ahead during an effect": (
        WorkModel(alerts=TWICE, rules=PLAIN, is_clock_steady=False),
        "two effects for one item",
    ),
}
