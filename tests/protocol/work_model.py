"""The work of the replicas: who leads, what becomes of deliveries, and the process that may die between any two steps.

The lease is as in lease_model, but without the time that statements take: a lease may end whenever its holder does not
renew it. A process that stands still is one that takes no step while the others do.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from remediator.model.run_state import CANCELLABLE, ENDED, RunState
from tests.protocol import run_model
from tests.protocol.lease_row import AS_IT_IS, NAMES, NOW, Row, Statements, execute
from tests.protocol.search import Step
from tests.protocol.work_state import Alert, Delivery, Episode, Replica, Run, State

TTL = 1
FIRES, LATE, RESOLVES, FIRES_AGAIN = Alert(True, 1), Alert(True, 1, copy=1), Alert(False, 1), Alert(True, 2)


@dataclass(frozen=True)
class WorkModel:
    """The rules as they are, or with a seeded fault.

    Either all deliveries are accepted at the start, and their processing and the runs are searched, or `deliveries are
    slow`: they come and are processed in any order, and no run is planned.
    """

    replicas: int = 2
    alerts: tuple[Alert, ...] = (FIRES, LATE, RESOLVES)
    rules: run_model.Rules = run_model.AS_IT_IS
    statements: Statements = AS_IT_IS
    is_clock_steady: bool = True
    are_deliveries_slow: bool = False
    marks_up_to_the_highest: bool = False
    ends_work_with_the_term: bool = True
    fences_work_by_its_own_term: bool = True

    @property
    def start(self) -> State:
        replicas = (Replica(),) * self.replicas
        if self.are_deliveries_slow:
            return State(replicas, outside=self.alerts)
        return State(replicas, deliveries=tuple(Delivery(number, alert) for number, alert in enumerate(self.alerts)))

    def steps(self, state: State) -> Iterator[Step]:
        if state.row.expires_at > NOW:
            yield from self._time(state)
        yield from run_model.arrivals(state, self.rules)
        for which, replica in enumerate(state.replicas):
            for words, following, is_fault in self._own_steps(state, which, replica):
                yield Step(f"{NAMES[which]} {words}", following, is_fault)

    def broken(self, state: State) -> str | None:
        if state.effects > 1:
            return "two effects for one item"
        if state.admitted > self.rules.max_admitted:
            return "more runs are admitted than the limit allows"
        return state.broken

    def is_at_rest(self, state: State) -> bool:
        """Return whether every delivery is processed and the last run has ended."""
        is_over = state.run is None or state.run.state in ENDED
        is_planned = self.are_deliveries_slow or not _is_due(state)
        return is_over and is_planned and not state.outside and not state.deliveries

    def key(self, state: State) -> Hashable:
        roles = [
            (replica, state.row.holder == which, tuple(each.alert for each in state.deliveries if each.by == which))
            for which, replica in enumerate(state.replicas)
        ]
        deliveries = tuple((each.alert, each.by is None) for each in state.deliveries)
        return tuple(sorted(roles, key=hash)), state.row.expires_at, deliveries, state[3:]

    def _time(self, state: State) -> Iterator[Step]:
        """End the lease: by time, before which the holder's trust ends, or by the database's clock alone."""
        ended = state._replace(row=state.row._replace(expires_at=NOW))
        trustless = tuple(each._replace(is_trusting=False) for each in ended.replicas)
        yield Step("the lease runs out", ended._replace(replicas=trustless))
        if not self.is_clock_steady:
            yield Step("the database's clock jumps ahead: the lease runs out", ended, is_fault=True)

    def _own_steps(self, state: State, which: int, replica: Replica) -> Iterator[Step]:
        if replica != Replica() or any(each.by == which for each in state.deliveries):
            yield Step("is killed and starts again", _crashed(state, which), is_fault=True)
        yield from _receipts(state, which)
        if replica.term is None:
            yield from self._election(state, which, replica)
            return
        yield from self._renewals(state, which, replica)
        yield from self._backlog(state, which, replica)
        if self.are_deliveries_slow:
            return
        if replica.task is None:
            yield from self._engine(state, which)
        else:
            for words, following, is_fault in run_model.steps(state, which, replica.task, self.rules):
                yield Step(words, self._written(state, following, which), is_fault)

    def _election(self, state: State, which: int, replica: Replica) -> Iterator[Step]:
        row, is_elected = execute(self.statements.elect, state.row, which, None, TTL, NOW)
        if is_elected:
            elected = replica._replace(term=row.term, is_trusting=True)
            yield Step("is elected", _counted_from(state.with_replica(which, elected), row))

    def _renewals(self, state: State, which: int, replica: Replica) -> Iterator[Step]:
        row, touched = execute(self.statements.renew, state.row, which, replica.term, TTL, NOW)
        if not touched:
            yield Step("fails to renew its lease", self._without_term(state, which))
        elif row != state.row or not replica.is_trusting:
            renewed = state._replace(row=row).with_replica(which, replica._replace(is_trusting=True))
            yield Step("renews its lease", renewed)
        if replica.task is None and not replica.batch and state.row.holder == which:
            row, _ = execute(self.statements.resign, state.row, which, replica.term, TTL, NOW)
            yield Step("resigns", state._replace(row=row).with_replica(which, Replica()))

    def _without_term(self, state: State, which: int) -> State:
        replica = state.replicas[which]
        if self.ends_work_with_the_term or not (replica.batch or replica.task):
            return state.with_replica(which, Replica())
        old_term = replica.term if self.fences_work_by_its_own_term else None
        return state.with_replica(which, replica._replace(term=None, old_term=old_term, is_trusting=False))

    def _written(self, state: State, following: State, which: int) -> State:
        """Return the state after a step: a write in another term than that of the row fails, and changes nothing."""
        is_write = state.ledger != following.ledger or run_model.takes_over(state, following, which)
        if not is_write:
            return following
        replica = state.replicas[which]
        is_old = replica.old_term is not None
        fence = replica.old_term if is_old else replica.term
        _, is_in_term = execute(self.statements.in_term, state.row, which, fence, TTL, NOW)
        if not is_in_term:
            without_work = replica._replace(old_term=None, batch=(), task=None)
            return state.with_replica(which, without_work) if is_old else self._without_term(state, which)
        if state.row.holder != which:
            return following._replace(broken=f"a write of {NAMES[which]} touches rows, but another leads")
        return following

    def _backlog(self, state: State, which: int, replica: Replica) -> Iterator[Step]:
        """Read deliveries and process them: in two steps if they are slow, as others may come in between."""
        committed = tuple(each for each in state.deliveries if each.by is None)
        if replica.batch:
            yield self._process(state, which, replica)
        elif committed and self.are_deliveries_slow:
            yield Step("reads the waiting deliveries", state.with_replica(which, replica._replace(batch=committed)))
        elif committed:
            yield self._process(state, which, replica._replace(batch=committed[:1]))

    def _process(self, state: State, which: int, replica: Replica) -> Step:
        following = state.with_replica(which, replica._replace(batch=()))
        for delivery in replica.batch:
            following = _applied(following, delivery)
        remaining = tuple(each for each in state.deliveries if each not in replica.batch)
        if self.marks_up_to_the_highest:
            highest = replica.batch[-1].number
            lost = [each for each in remaining if each.by is None and each.number < highest]
            remaining = tuple(each for each in remaining if each not in lost)
            if lost:
                following = following._replace(broken=f"an accepted delivery is lost: {lost[0].alert}")
        following = following._replace(deliveries=remaining)
        words = "processes: " + ", ".join(str(each.alert) for each in replica.batch)
        return Step(words, self._written(state, following, which))

    def _engine(self, state: State, which: int) -> Iterator[Step]:
        if _is_due(state):
            run = Run(state.run.number + 1 if state.run else 1)
            planned = state._replace(run=run, episode=state.episode._replace(is_confirmed=False, has_run=True))
            yield Step(f"plans run {run.number}", self._written(state, planned, which))
        if state.run and state.run.state not in ENDED:
            for words, following in run_model.found(state, which):
                yield Step(words, self._written(state, following, which))


def _receipts(state: State, which: int) -> Iterator[Step]:
    """Any replica accepts deliveries: numbered when they come, committed and answered later."""
    for alert in state.outside:
        number = max([each.number for each in state.deliveries], default=0) + 1
        rest = tuple(each for each in state.outside if each is not alert)
        received = (*state.deliveries, Delivery(number, alert, which))
        yield Step(f"receives: {alert}", state._replace(outside=rest, deliveries=received))
    for delivery in state.deliveries:
        if delivery.by == which:
            stored = tuple(each._replace(by=None) if each is delivery else each for each in state.deliveries)
            yield Step(f"has stored it and answers 200: {delivery.alert}", state._replace(deliveries=stored))


def _crashed(state: State, which: int) -> State:
    """Start a process again under another name. Alertmanager repeats deliveries that it did not answer."""
    row = state.row._replace(holder=len(NAMES)) if state.row.holder == which else state.row
    lost = [each for each in state.deliveries if each.by == which]
    kept = tuple(each for each in state.deliveries if each not in lost)
    outside = tuple(sorted([*state.outside, *(each.alert for each in lost)]))
    return state.with_replica(which, Replica())._replace(row=row, deliveries=kept, outside=outside)


def _counted_from(state: State, row: Row) -> State:
    """Commit the row of an election, and count terms from it."""
    replicas = tuple(
        each._replace(term=_since(row, each.term), old_term=_since(row, each.old_term)) for each in state.replicas
    )
    return state._replace(row=row._replace(term=0), replicas=replicas)


def _since(row: Row, term: int | None) -> int | None:
    return None if term is None else max(term - row.term, -1)


def _applied(state: State, delivery: Delivery) -> State:
    """Apply a delivery: confirm, open or end the episode."""
    if delivery not in state.deliveries:
        return state._replace(broken=f"a delivery is applied twice: {delivery.alert}")
    alert, episode = delivery.alert, state.episode
    if alert.is_firing:
        if alert.beginning <= state.resolved:  # a late copy
            return state
        if episode is not None and episode.is_open:
            return state._replace(episode=episode._replace(is_confirmed=True))
        return state._replace(episode=Episode(alert.beginning))
    state = state._replace(resolved=max(state.resolved, alert.beginning))
    if episode is None or not episode.is_open or episode.beginning > alert.beginning:
        return state
    run = state.run
    if run is not None and run.state in CANCELLABLE:
        run = run_model.moved(run, RunState.CANCELLED)
    return state._replace(episode=episode._replace(is_open=False), run=run)


def _is_due(state: State) -> bool:
    """Return whether the episode needs a run: its first, or one after a confirmation since the last has ended."""
    if state.episode is None or not state.episode.is_open or (state.run and state.run.state not in ENDED):
        return False
    return not state.episode.has_run or state.episode.is_confirmed
