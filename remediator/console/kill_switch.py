"""The state of the kill switch in the bar of every page: who has stopped what, and what a stop would cover."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.kill_switch import read_pause_file
from remediator.context import Context
from remediator.ledger import switches
from remediator.ledger.run_counts import open_by_stack
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import ACTIVE, RunState

EVERYTHING = "everything"
"""The scope of a stop of all stacks; it has to be typed to release that one."""
WAITING = frozenset({RunState.DEFERRED, RunState.AWAITING_APPROVAL})


@dataclass(frozen=True)
class Stop:
    """A pause in force. `scope` is EVERYTHING or a stack; a pause by file has no author and ends with the file."""

    scope: str
    reason: str
    by: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_by_file(self) -> bool:
        """Whether the pause file is the cause, so that no page can end it."""
        return self.by is None


@dataclass(frozen=True)
class Coverage:
    """The runs that a stop of `scope` would cover now."""

    scope: str
    stacks: int
    under_way: int
    waiting: int


@dataclass(frozen=True)
class SwitchState:
    """The state of the kill switch. `trouble` is why the ledger cannot tell; then only the pause file counts."""

    stops: Sequence[Stop] = ()
    coverage: Sequence[Coverage] = ()
    approvals: int = 0
    trouble: str | None = None
    pause_file: str = ""
    stopped_scopes: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stopped_scopes", frozenset(each.scope for each in self.stops))

    @property
    def stops_everything(self) -> bool:
        """Whether nothing at all is remediated."""
        return EVERYTHING in self.stopped_scopes

    def of(self, stack: str) -> Sequence[Stop]:
        """Return the stops that hold for `stack`."""
        return [each for each in self.stops if each.scope in (EVERYTHING, stack)]


async def read_switch(context: Context) -> SwitchState:
    """Read the state for the bar; a ledger that is out hides no pause file."""
    file = str(context.pause_file.absolute()) if context.pause_file is not None else ""
    by_file = [Stop(EVERYTHING, reason)] if (reason := read_pause_file(context.pause_file)) else []
    try:
        async with context.ledger.read() as connection:
            return await _read(connection, context, by_file, file)
    except LedgerUnavailable as error:
        return SwitchState(by_file, trouble=str(error), pause_file=file)


async def _read(connection: AsyncConnection, context: Context, by_file: Sequence[Stop], file: str) -> SwitchState:
    pauses = await switches.active_pauses(connection, context.clock.now())
    stored = [Stop(each.stack or EVERYTHING, each.reason, each.begun_by, each.begun_at, each.until) for each in pauses]
    counts = await open_by_stack(connection)
    stops = sorted([*by_file, *stored], key=lambda stop: (stop.scope != EVERYTHING, stop.scope))
    approvals = sum(number for (_, state), number in counts.items() if state is RunState.AWAITING_APPROVAL)
    return SwitchState(stops, _coverage(list(context.inventory.stacks), counts), approvals, pause_file=file)


def _coverage(stacks: Sequence[str], counts: Counter[tuple[str, RunState]]) -> Sequence[Coverage]:
    """Return what a stop of everything covers, and with several stacks that of each."""
    scopes = [(EVERYTHING, None), *((name, name) for name in stacks if len(stacks) > 1)]
    return [
        Coverage(
            scope,
            len(stacks) if stack is None else 1,
            _count(counts, stack, ACTIVE),
            _count(counts, stack, WAITING),
        )
        for scope, stack in scopes
    ]


def _count(counts: Counter[tuple[str, RunState]], stack: str | None, states: frozenset[RunState]) -> int:
    return sum(number for (name, state), number in counts.items() if stack in (None, name) and state in states)
