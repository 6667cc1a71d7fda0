"""The state of each duty: when it was last done, and when it is due."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context, LeaderContext
from remediator.ledger import duties as ledger
from remediator.ledger.duties import Completion, Key
from runbookd.inventory import Duty, Inventory, Stack, secret_files

STAT_SECONDS = 2.0  # for all secret files of a stack; a mount that hangs must not hold up the page


class DutyState(StrEnum):
    """Whether a duty is due."""

    DONE = "done"
    NEVER_DONE = "never_done"  # and not due yet: it counts from its first sight
    DUE = "due"
    OVERDUE = "overdue"


@dataclass(frozen=True)
class DutyStatus:
    """A duty of a stack. `last` is None if it was never done; then it counts from `first_seen_at`."""

    stack: str
    name: str
    duty: Duty
    first_seen_at: datetime
    last: Completion | None

    @property
    def counts_from(self) -> datetime:
        """The moment from which its interval counts."""
        return self.first_seen_at if self.last is None else self.last.at

    @property
    def due_at(self) -> datetime:
        """The moment at which it is due again."""
        return self.counts_from + self.duty.every

    def state(self, now: datetime) -> DutyState:
        """Return whether it is due at `now`."""
        if now > self.due_at + self.duty.grace:
            return DutyState.OVERDUE
        if now > self.due_at:
            return DutyState.DUE
        return DutyState.NEVER_DONE if self.last is None else DutyState.DONE


def duties_of(inventory: Inventory) -> Mapping[Key, Duty]:
    """Return the duties of all stacks."""
    return {(name, each): duty for name, stack in inventory.stacks.items() for each, duty in stack.duties.items()}


async def note_new_duties(context: LeaderContext) -> None:
    """Record the first sight of the duties that the inventory has got since the last call."""
    async with context.ledger.read() as connection:
        new = duties_of(context.inventory).keys() - await ledger.first_sights(connection)
    if not new:
        return
    async with context.ledger.write() as connection:
        new -= (await ledger.first_sights(connection)).keys()
        await ledger.note_sight(connection, sorted(new), context.clock.now())


async def read_duties(connection: AsyncConnection, context: Context) -> Sequence[DutyStatus]:
    """Return the duties, in the order of the inventory; a new one is seen now."""
    inventory, now = context.inventory, context.clock.now()
    sights, recorded = await ledger.first_sights(connection), await ledger.newest_completions(connection)
    successes = await ledger.newest_successes(connection)
    changes = {name: await _oldest_change(stack) for name, stack in inventory.stacks.items() if _has_secrets(stack)}
    statuses = []
    for (stack, name), duty in duties_of(inventory).items():
        found = [recorded.get((stack, name)), _by_run(duty, successes.get((stack, duty.remediation or "")))]
        last = changes[stack] if duty.secrets else _latest(found)
        statuses.append(DutyStatus(stack, name, duty, sights.get((stack, name), now), last))
    return statuses


def _by_run(duty: Duty, succeeded_at: datetime | None) -> Completion | None:
    return None if succeeded_at is None else Completion(succeeded_at, "remediator", f"a run of {duty.remediation}")


def _latest(found: Iterable[Completion | None]) -> Completion | None:
    return max((each for each in found if each is not None), key=lambda each: each.at, default=None)


def _has_secrets(stack: Stack) -> bool:
    return any(duty.secrets for duty in stack.duties.values())


async def _oldest_change(stack: Stack) -> Completion | None:
    """Return when the secret file that was not changed for longest was changed; None if none can be seen."""
    try:
        async with asyncio.timeout(STAT_SECONDS):
            times = await asyncio.to_thread(_change_times, [path for _, path in secret_files(stack)])
    except TimeoutError:
        return None
    if not times:
        return None
    path, at = min(times.items(), key=lambda each: each[1])
    return Completion(at, "the files", f"{path} is the oldest of {len(times)} secret files")


def _change_times(paths: Iterable[Path]) -> Mapping[Path, datetime]:
    times = {}
    for path in paths:
        try:
            times[path] = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except (OSError, OverflowError, ValueError):  # not for this process, or not there
            continue
    return times
