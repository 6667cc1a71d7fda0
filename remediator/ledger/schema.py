"""The ledger's tables, the same for every database."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    column,
    text,
)

from remediator.model.run_state import ACTIVE, TRANSITIONS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_microseconds(moment: datetime) -> int:
    """Convert `moment` to the ledger's representation."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(value: int) -> datetime:
    """Convert the ledger's representation to a moment."""
    return _EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """A moment, stored as whole microseconds since 1970 in UTC: exact and sortable."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Convert a moment to an integer."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert an integer to a moment."""
        return None if value is None else from_microseconds(value)


LedgerRow = Row[*tuple[Any, ...]]  # used only inside this package, which returns typed objects
metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite autoincrements only INTEGER keys

delivery = Table(
    "delivery",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("received_at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("processed_at", Instant),
    Index(
        "delivery_open",
        "id",
        sqlite_where=column("processed_at").is_(None),
        postgresql_where=column("processed_at").is_(None),
    ),
    Index("delivery_received", "received_at"),
)

episode = Table(
    "episode",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("stack", String, nullable=False),
    Column("remediation", String, nullable=False),
    Column("target", String, nullable=False),  # canonical, or as the alert named it if it does not exist
    Column("opened_at", Instant, nullable=False),
    Column("firing_since", Instant, nullable=False),
    Column("delivered_at", Instant, nullable=False),
    Column("confirmed_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("end_reason", String),
    Column("alerts", JSON, nullable=False),  # key -> {"labels", "annotations", "started"} of the firing alerts
    Index(
        "episode_one_open",
        "stack",
        "remediation",
        "target",
        unique=True,
        sqlite_where=column("ended_at").is_(None),
        postgresql_where=column("ended_at").is_(None),
    ),
    Index("episode_ended", "ended_at"),
)

_active = column("state").in_([str(state) for state in sorted(ACTIVE)])
_open = column("state").in_([str(state) for state in TRANSITIONS])

run = Table(
    "run",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("episode", _Id, ForeignKey("episode.id"), nullable=False),
    Column("stack", String, nullable=False),
    Column("remediation", String, nullable=False),
    Column("target", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False, default=""),
    Column("fence", Integer, nullable=False, default=1),
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("admitted_at", Instant),  # the reservation, which is never released
    Column("not_before", Instant),
    Column("deferred_at", Instant),  # the first deferral of this run
    Column("expires_at", Instant),
    Column("approved_by", String),
    Column("found", Integer),
    Column("population", Integer),
    Column("plan_hash", String),
    Column("settings", JSON),  # by which the run was last judged, and with which it acts
    Column("evidence", JSON, nullable=False, default=dict),
    Column("trigger", String, nullable=False, server_default="alert"),
    Column("requested_by", String),  # the operator who started it
    Column("parameters", JSON),  # their texts
    Column("undoes", _Id),  # the run whose effects it undoes
    # The database itself rules out two active runs of one remediation on one target.
    Index(
        "run_one_active",
        "stack",
        "remediation",
        "target",
        unique=True,
        sqlite_where=_active,
        postgresql_where=_active,
    ),
    Index("run_one_open", "episode", unique=True, sqlite_where=_open, postgresql_where=_open),
    # The engine queries by these every second, in a ledger of any size.
    Index("run_state", "state"),
    Index("run_episode", "episode"),
    Index("run_admitted", "admitted_at"),
    Index("run_finished", "finished_at"),
    Index("run_target", "stack", "remediation", "target", "finished_at"),
    Index("run_undoes", "undoes"),
    # Pages of runs query by these, newest first.
    Index("run_stack", "stack", "id"),
    Index("run_remediation", "remediation", "id"),
)

item = Table(
    "item",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run", _Id, ForeignKey("run.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("identity", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("intended_at", Instant),
    Column("settled_at", Instant),
    UniqueConstraint("run", "position"),
)

breaker = Table(
    "breaker",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("stack", String, nullable=False),
    Column("remediation", String, nullable=False),
    Column("target", String, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("run", _Id, ForeignKey("run.id"), nullable=False),
    Column("reason", String, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", String),
)

pause = Table(
    "pause",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("stack", String),  # NULL: all stacks
    Column("reason", Text, nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("begun_by", String, nullable=False),
    Column("until", Instant),
    Column("ended_at", Instant),
    Column("ended_by", String),
)

# A plan that an operator was shown. Confirmed once, it becomes a run with exactly these items.
question = Table(
    "question",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("stack", String, nullable=False),
    Column("remediation", String, nullable=False),
    Column("target", String, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("undoes", _Id),
    Column("reason", Text, nullable=False),
    Column("operator", String, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("plan_hash", String, nullable=False),
    Column("used_at", Instant),
    Column("run", _Id),
    Index("question_asked", "asked_at"),
)

# The runs that the engine undoes by itself: at `due_at`, or if it is NULL once the episode is over.
planned_undo = Table(
    "planned_undo",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run", _Id, ForeignKey("run.id"), nullable=False, unique=True),
    Column("due_at", Instant),
    Column("closed_at", Instant),
    Column("outcome", String),
    Index("planned_undo_open", "closed_at"),
)

deploy = Table(
    "deploy",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("stack", String, nullable=False),
    Column("version", String, nullable=False),  # empty if it was not reported
    Column("begun_at", Instant, nullable=False),
    Column("begun_by", String, nullable=False),
    Column("done_at", Instant),
    Index("deploy_stack", "stack", "id"),
)

# The duties of the inventory since their first sight: one that was never done counts from there.
duty = Table(
    "duty",
    metadata,
    Column("stack", String, primary_key=True),
    Column("duty", String, primary_key=True),
    Column("first_seen_at", Instant, nullable=False),
)

duty_done = Table(
    "duty_done",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("stack", String, nullable=False),
    Column("duty", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", String, nullable=False),
    Column("note", Text, nullable=False),
    Index("duty_done_at", "stack", "duty", "at"),
)

# An operator has an episode in hand: its ladder stands still until the row ends.
acknowledgement = Table(
    "acknowledgement",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("episode", _Id, ForeignKey("episode.id"), nullable=False),
    Column("operator", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("since", Instant, nullable=False),  # when the episode, or a change of it, began to wait for one
    Column("at", Instant, nullable=False),
    Column("until", Instant),
    Column("priority", String, nullable=False),  # the highest of its alerts then; empty without one
    Column("alerts", JSON, nullable=False),  # key -> start of the alerts that fired then
    Column("ended_at", Instant),
    Column("end_reason", String),
    Index("acknowledgement_episode", "episode"),
    Index(
        "acknowledgement_one_open",
        "episode",
        unique=True,
        sqlite_where=column("ended_at").is_(None),
        postgresql_where=column("ended_at").is_(None),
    ),
)

# The counts of the metric of acknowledgements, which must never fall.
acknowledge_tally = Table(
    "acknowledge_tally",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("stack", String, nullable=False),
    Column("priority", String, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("acknowledgements", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    UniqueConstraint("stack", "priority", "bucket"),
)

# The browsers that are or were signed in to the console. Only the hash of a session's token is stored.
console_session = Table(
    "console_session",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("token_hash", String, nullable=False, unique=True),
    Column("operator", String, nullable=False),
    Column("role", String, nullable=False),  # at the sign-in
    Column("password_stamp", String, nullable=False),  # changes with the operator's password
    Column("address", String, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("end_reason", String),
    Index("console_session_address", "address", "created_at"),
    Index("console_session_ended", "ended_at"),
)

# The failed sign-ins of an address, and of a name with an address (`name_hash` is empty for the address alone).
sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column("address", String, primary_key=True),
    Column("name_hash", String, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Instant, nullable=False),
    Index("sign_in_failure_last", "last_at"),
)

# The key of the forms of visitors who have no session; all replicas share it.
console_key = Table(
    "console_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", String, nullable=False),
)

storm = Table(
    "storm",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    Column("detail", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("episode", _Id, ForeignKey("episode.id")),  # NULL: the announcement of a window
    Column("key", String, nullable=False),
    Column("contact", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("severity", String),
    Column("refused_at", Instant),  # when the service refused even the title
    Column("summary", _Id),  # the message that reports this one; it was not sent itself
    UniqueConstraint("key", "contact"),
    Index("outbox_due", "sent_at", "next_attempt_at"),
    Index("outbox_contact", "contact", "sent_at"),
    Index("outbox_episode", "episode"),
)

# As literals: a database uses a partial index only for a condition that it can see.
ANSWERS = "event IN ('approved', 'expired', 'rejected', 'trail_cut')"

audit = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("run", _Id),
    Column("event", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("hash", String, nullable=False),
    Index("audit_run", "run"),
    Index("audit_hash", "hash"),
    # The few rows that are looked for by their event: answers to requests for an approval, and the cuts of retention.
    Index("audit_answers", "id", sqlite_where=text(ANSWERS), postgresql_where=text(ANSWERS)),
)

# The counters of the metrics, apart from the runs: retention deletes runs, but a counter must never fall.
tally = Table(
    "tally",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("stack", String, nullable=False),
    Column("remediation", String, nullable=False),
    Column("target", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("runs", Integer, nullable=False),
    Column("acted", Integer, nullable=False),  # runs that had been admitted; `seconds` is their total
    Column("seconds", Float, nullable=False),
    Column("last_at", Instant, nullable=False),
    UniqueConstraint("stack", "remediation", "target", "state", "reason"),
)

# The recently resolved alerts: a firing that began before its resolution is a late duplicate.
resolution = Table(
    "resolution",
    metadata,
    Column("alert", String, primary_key=True),
    Column("ended_at", Instant, nullable=False),
    Column("resolved_at", Instant, nullable=False),
)
