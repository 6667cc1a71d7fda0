"""Turns accepted deliveries into episodes. Decided per alert: a delivery is only how it travelled."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.delivery import Alert, parse_delivery
from remediator.errors import LedgerUnavailable
from remediator.ladder import tell_end
from remediator.ledger import audit, control, deliveries, episodes, runs
from remediator.ledger.episodes import Episode, Key
from remediator.progress import advance
from remediator.states import CANCELLABLE, RunState
from remediator.targets import key_of
from remediator.world import World

AT_ONCE = 100
log = structlog.get_logger(__name__)


async def take_in(world: World) -> None:
    """Work off every delivery that has not been yet, each in one transaction with what follows from it."""
    async with world.ledger.read() as connection:
        waiting = await deliveries.unprocessed(connection, limit=AT_ONCE)
    for identifier, received, body in waiting:
        try:
            async with world.ledger.write() as connection:
                await _take_in_one(connection, world, received, body)
                await deliveries.mark_processed(connection, identifier, world.clock.now())
        except LedgerUnavailable:
            raise
        except Exception as error:
            log.exception("a delivery can not be worked off", delivery=identifier)
            await _set_aside(world, identifier, error)


async def _set_aside(world: World, identifier: int, error: Exception) -> None:
    """One delivery that we can not read must not hold up all that come after it."""
    async with world.ledger.write() as connection:
        now = world.clock.now()
        await deliveries.mark_processed(connection, identifier, now)
        detail = {"delivery": identifier, "error": type(error).__name__}
        await audit.append(connection, now, "delivery_set_aside", detail=detail)


async def _take_in_one(connection: AsyncConnection, world: World, received: datetime, body: bytes) -> None:
    delivery = parse_delivery(body)  # it was valid when it was accepted
    if delivery.truncated_alerts:
        detail = f"{delivery.truncated_alerts} alerts were cut off a delivery"
        await control.note_storm(connection, world.clock.now(), detail)
    by_key: dict[Key, list[Alert]] = {}
    for alert in delivery.alerts:
        if "remediation" in alert.labels:
            by_key.setdefault(key_of(alert.labels, world.remediations), []).append(alert)
    for key, alerts in by_key.items():
        await _take_in_alerts(connection, world, key, alerts, received)


async def _take_in_alerts(
    connection: AsyncConnection, world: World, key: Key, alerts: Sequence[Alert], received: datetime
) -> None:
    now = world.clock.now()
    firing = [alert for alert in alerts if alert.status == "firing"]
    if firing:
        await episodes.confirm(connection, key, firing, received, now)
    ended = await episodes.resolve(connection, key, [alert for alert in alerts if alert.status == "resolved"], now)
    if ended is not None:
        await call_off(connection, world, ended, "resolved")


async def call_off(connection: AsyncConnection, world: World, ended: Episode, reason: str) -> None:
    """Cancel the run of an ended episode if it has not touched anything; one that has goes on to its proof. Tell it."""
    run = await runs.last_of(connection, ended.id)
    log.info("episode ended", stack=ended.stack, remediation=ended.remediation, target=ended.target, reason=reason)
    if run is not None and run.state in CANCELLABLE:
        await advance(connection, world, run, RunState.CANCELLED, reason=reason)
    await tell_end(connection, world, ended, reason)
