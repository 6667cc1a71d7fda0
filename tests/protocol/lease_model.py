"""The lease in all detail: two or three replicas, statements under way, late and lost answers, clocks, a failover.

A statement is sent, executed and answered in three steps, and time may pass between them. A process that stands still
is one that takes no step while the others do.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.lease_row import AS_IT_IS, NAMES, NOW, Row, Statements, execute
from tests.protocol.search import Step

TTL, TRUST = 3, 2  # ticks: the holder's trust ends earlier than the database's lease, by the margin
HOUR = 100  # longer than anything else takes: waiting for its end counts as no progress
OLDEST = -2  # terms are counted from that of the row; older ones are alike


class Statement(NamedTuple):
    """A statement under way: how long ago it was sent; whether it touched the row and in which term, once executed."""

    kind: str
    age: int = 0
    touched: bool | None = None
    term: int | None = None


class Replica(NamedTuple):
    """What a process remembers: its term, how much longer it trusts it, and its statement under way.

    A candidate also remembers for how long it has `watched` the row unchanged.
    """

    term: int | None = None
    trust: int = 0
    watched: int | None = None
    under_way: Statement | None = None


class State(NamedTuple):
    """The row, the row before the last commit, the replicas, and the faults that may still come."""

    row: Row
    lost_row: Row | None
    replicas: tuple[Replica, ...]
    faults: frozenset[str]
    was_split: bool = False  # the database's clock, or its rows, went back or ahead
    broken: str | None = None


@dataclass(frozen=True)
class LeaseModel:
    """The rules of the lease, as they are or with a seeded fault; `clocks` are those of the clients, if they count."""

    replicas: int = 2
    statements: Statements = AS_IT_IS
    clocks: tuple[int, ...] = (0, 0, 0)
    is_trust_from_answer: bool = False
    abandoned_after: int = TTL
    faults: frozenset[str] = frozenset()

    @property
    def start(self) -> State:
        row = Row(0, None, NOW)
        return State(row, row if "failover" in self.faults else None, (Replica(),) * self.replicas, self.faults)

    def steps(self, state: State) -> Iterator[Step]:
        yield Step("a second passes", _later(state))
        for which, replica in enumerate(state.replicas):
            for words, following, is_fault in self._own_steps(state, which, replica):
                yield Step(f"{NAMES[which]} {words}", following, is_fault)
        yield from _faults(state)

    def broken(self, state: State) -> str | None:
        if state.broken is not None:
            return state.broken
        for which, replica in enumerate(state.replicas):
            leads = replica.term == state.row.term and state.row.holder == which
            if replica.trust and not leads and not state.was_split:
                return f"{NAMES[which]} trusts its lease, but no longer has it"
        return None

    def is_at_rest(self, state: State) -> bool:
        return any(each.trust and state.row.holder == which for which, each in enumerate(state.replicas))

    def key(self, state: State) -> Hashable:
        if any(self.clocks):
            return state
        rows = [row for row in (state.row, state.lost_row) if row is not None]
        roles = [(replica, *(row.holder == which for row in rows)) for which, replica in enumerate(state.replicas)]
        times = [(row.term, row.holder is None, row.expires_at) for row in rows]
        return tuple(sorted(roles, key=hash)), *times, state.faults, state.was_split, state.broken

    def _own_steps(self, state: State, which: int, replica: Replica) -> Iterator[Step]:
        if replica != Replica():
            yield Step("is killed and starts again", _with_crash(state, which), is_fault=True)
        if replica.under_way is not None:
            yield from self._statement_steps(state, which, replica, replica.under_way)
        elif replica.term is None:
            asking = replica._replace(under_way=Statement("elect"), watched=replica.watched or 0)
            yield Step("asks to be elected", _with(state, which, asking))
        else:
            yield Step("asks to renew", _with(state, which, replica._replace(under_way=Statement("renew"))))
            resigned, _ = self._execute("resign", state, which, replica)
            yield Step("resigns", _with(_committed(state, resigned), which, Replica()))
        if replica.term is not None:
            yield from self._write(state, which, replica)

    def _statement_steps(self, state: State, which: int, replica: Replica, statement: Statement) -> Iterator[Step]:
        unanswered = _with(state, which, replica._replace(under_way=None))
        if statement.touched is None:
            row, touched = self._execute(statement.kind, state, which, replica)
            words = f"is heard: the {statement.kind} statement touches {'the row' if touched else 'no row'}"
            executed = statement._replace(touched=touched, term=row.term)
            yield Step(words, _committed(_with(state, which, replica._replace(under_way=executed)), row))
            yield Step("is not heard", unanswered, is_fault=True)
            return
        yield Step("gets no answer", unanswered, is_fault=True)
        trust = TRUST if self.is_trust_from_answer else max(TRUST - statement.age, 0)
        if not statement.touched:
            yield Step("learns that it does not lead", _with(state, which, Replica()))
        else:
            term = statement.term if statement.kind == "elect" else replica.term
            yield Step("gets the answer and leads", _with(state, which, Replica(term, trust)))

    def _execute(self, kind: str, state: State, which: int, replica: Replica) -> tuple[Row, bool]:
        statement = getattr(self.statements, kind)
        is_abandoned = replica.watched is not None and replica.watched >= self.abandoned_after
        return execute(statement, state.row, which, replica.term, TTL, NOW + self.clocks[which], is_abandoned)

    def _write(self, state: State, which: int, replica: Replica) -> Iterator[Step]:
        """Write in its term, which the transaction compares with the row. A write that fails changes nothing."""
        _, is_in_term = self._execute("in_term", state, which, replica)
        if is_in_term and state.row.holder != which:
            yield Step("writes, and touches rows", state._replace(broken=f"{NAMES[which]} writes without the lease"))


def _with(state: State, which: int, replica: Replica) -> State:
    return state._replace(replicas=(*state.replicas[:which], replica, *state.replicas[which + 1 :]))


def _with_crash(state: State, which: int) -> State:
    """Start a process again under another name: what its predecessor holds ends by itself."""
    row = state.row._replace(holder=len(NAMES)) if state.row.holder == which else state.row
    return _with(state._replace(row=row), which, Replica())


def _committed(state: State, row: Row) -> State:
    """Commit a changed row, and count terms from it."""
    if row == state.row:
        return state
    shift = row.term
    replicas = tuple(
        Replica(_shifted(term, shift), trust, None, sent and sent._replace(term=_shifted(sent.term, shift)))
        for term, trust, _, sent in state.replicas
    )
    lost_row = state.lost_row
    if lost_row is not None:
        lost_row = state.row._replace(term=max(state.row.term - shift, OLDEST))
    return state._replace(row=row._replace(term=0), lost_row=lost_row, replicas=replicas)


def _shifted(term: int | None, shift: int) -> int | None:
    return None if term is None else max(term - shift, OLDEST)


def _later(state: State) -> State:
    replicas = tuple(
        Replica(
            each.term,
            max(each.trust - 1, 0),
            None if each.watched is None else min(each.watched + 1, TTL),
            each.under_way and _older(each.under_way),
        )
        for each in state.replicas
    )
    return state._replace(
        row=_nearer_its_end(state.row), lost_row=state.lost_row and _nearer_its_end(state.lost_row), replicas=replicas
    )


def _nearer_its_end(row: Row) -> Row:
    is_far = row.expires_at >= NOW + HOUR
    return row if is_far else row._replace(expires_at=max(row.expires_at - 1, NOW))


def _older(statement: Statement) -> Statement:
    return statement._replace(age=min(statement.age + 1, TTL))


def _faults(state: State) -> Iterator[Step]:
    used = state._replace(was_split=True, lost_row=None)
    if "clock ahead" in state.faults:
        row = state.row._replace(expires_at=NOW)
        yield Step("the database's clock jumps ahead", _without(used, "clock ahead")._replace(row=row), is_fault=True)
    if "clock back" in state.faults:
        row = state.row._replace(expires_at=state.row.expires_at + HOUR)
        yield Step("the database's clock goes back", _without(used, "clock back")._replace(row=row), is_fault=True)
    if "failover" in state.faults and state.lost_row is not None:
        following = _committed(_without(used, "failover"), state.lost_row)
        yield Step("a standby that lacks the last commit takes over", following, is_fault=True)


def _without(state: State, fault: str) -> State:
    return state._replace(faults=state.faults - {fault})
