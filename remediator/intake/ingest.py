"""Turns accepted deliveries into episodes. Decided per alert: a delivery is only how it travelled.

Many deliveries are worked off in one transaction, in the order in which they came.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import World
from remediator.escalation.policy import tell_end
from remediator.intake.backlog import Backlog
from remediator.ledger import audit, deliveries, episodes, resolutions, runs, switches
from remediator.ledger.deliveries import Kept
from remediator.ledger.episodes import Book, Episode, Heard
from remediator.model.delivery import Delivery, parse_delivery
from remediator.model.episode_key import Key
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import CANCELLABLE, RunState
from remediator.model.target import key_of
from remediator.runs.transitions import advance

# In one transaction: so many that each costs little, and so few that nobody waits long for the writer's turn.
AT_ONCE, BYTES_AT_ONCE = 1_000, 2 * 1024 * 1024
TURN_SECONDS = 0.002  # as long as the event loop waits while deliveries are read
log = structlog.get_logger(__name__)


async def take_in(world: World, backlog: Backlog) -> int:
    """Work off the oldest deliveries that nothing was made of yet; return how many it were, 0 where none is left.

    Raises:
        LedgerUnavailable: they stay for the next time.
    """
    async with world.ledger.read() as connection:
        waiting = await deliveries.unprocessed(connection, AT_ONCE, BYTES_AT_ONCE)
        backlog.counted(await deliveries.waiting(connection))
    if waiting:
        await _take_in_together(world, waiting)
        backlog.counted(backlog.waiting - len(waiting))
    return len(waiting)


async def _take_in_together(world: World, kept: Sequence[Kept]) -> None:
    try:
        taken = await _read(kept)
        async with world.ledger.write() as connection:
            await take_in_all(connection, world, taken)
            await deliveries.mark_processed(connection, kept, world.clock.now())
    except LedgerUnavailable:
        raise
    except Exception as error:
        if len(kept) == 1:
            await _set_aside(world, kept[0], error)
            return
        for each in kept:  # one of them is the trouble; alone it harms no other
            await _take_in_together(world, [each])


async def _read(kept: Sequence[Kept]) -> list[tuple[Kept, Delivery]]:
    """Before the writer's turn, and not in one go: whoever delivers meanwhile waits for both."""
    taken, loop = [], asyncio.get_running_loop()
    turn = loop.time() + TURN_SECONDS
    for each in kept:
        taken.append((each, parse_delivery(each.body)))
        if loop.time() >= turn:
            await asyncio.sleep(0)
            turn = loop.time() + TURN_SECONDS
    return taken


async def _set_aside(world: World, kept: Kept, error: Exception) -> None:
    """One delivery that we can not read must not hold up all that come after it."""
    log.error("a delivery can not be worked off", delivery=kept.id, exc_info=error)
    async with world.ledger.write() as connection:
        now = world.clock.now()
        await deliveries.mark_processed(connection, [kept], now)
        detail = {"delivery": kept.id, "error": type(error).__name__}
        await audit.append(connection, now, "delivery_set_aside", detail=detail)


async def take_in_all(connection: AsyncConnection, world: World, taken: Sequence[tuple[Kept, Delivery]]) -> None:
    """Make of deliveries, oldest first, whatever follows from them for episodes and their runs."""
    for _, delivery in taken:
        if delivery.truncated_alerts:
            detail = f"{delivery.truncated_alerts} alerts were cut off a delivery"
            await switches.note_storm(connection, world.clock.now(), detail)
    by_key: dict[Key, list[Heard]] = {}
    for kept, delivery in taken:
        for alert in delivery.alerts:
            if "remediation" in alert.labels:
                key = key_of(alert.labels, world.remediations)
                by_key.setdefault(key, []).append(Heard(alert, kept.received_at))
    names = {heard.alert.key for together in by_key.values() for heard in together}
    memory = await resolutions.memory(connection, names, world.repeat_interval)
    book = await episodes.book(connection, by_key)
    for key, heard in by_key.items():
        await _take_in_one(connection, world, book, key, memory.news(heard))
    await book.keep()
    await memory.keep()


async def _take_in_one(connection: AsyncConnection, world: World, book: Book, key: Key, heard: Iterator[Heard]) -> None:
    now = world.clock.now()
    for status, some in groupby(heard, key=lambda each: each.alert.status):
        if status == "firing":
            await book.confirm(key, list(some), now)
            continue
        ended = await book.resolve(key, [each.alert for each in some], now)
        if ended is not None:
            await call_off(connection, world, ended, "resolved")


async def call_off(connection: AsyncConnection, world: World, ended: Episode, reason: str) -> None:
    """Cancel the run of an ended episode if it has not touched anything; one that has goes on to its proof. Tell it."""
    run = await runs.last_of(connection, ended.id)
    log.info("episode ended", stack=ended.stack, remediation=ended.remediation, target=ended.target, reason=reason)
    if run is not None and run.state in CANCELLABLE:
        await advance(connection, world, run, RunState.CANCELLED, reason=reason)
    await tell_end(connection, world, ended, reason)
