"""Turns accepted deliveries into episodes. Decided per alert: a delivery is only how it travelled."""

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.delivery import Alert, parse_delivery
from remediator.ledger import control, deliveries, episodes, runs
from remediator.ledger.episodes import Episode
from remediator.progress import advance
from remediator.states import CANCELLABLE, RunState
from remediator.targets import key_of
from remediator.world import World

log = structlog.get_logger(__name__)


async def take_in(world: World) -> None:
    """Work off every delivery that has not been yet, each in one transaction with what follows from it."""
    while True:
        async with world.ledger.write() as connection:
            waiting = await deliveries.unprocessed(connection, limit=1)
            if not waiting:
                return
            identifier, received, body = waiting[0]
            await _take_in_one(connection, world, received, body)
            await deliveries.mark_processed(connection, identifier, world.clock.now())


async def _take_in_one(connection: AsyncConnection, world: World, received: datetime, body: bytes) -> None:
    delivery = parse_delivery(body)  # it was valid when it was accepted
    if delivery.truncated_alerts:
        detail = f"{delivery.truncated_alerts} alerts were cut off a delivery"
        await control.note_storm(connection, world.clock.now(), detail)
    for alert in delivery.alerts:
        if "remediation" in alert.labels:
            await _take_in_alert(connection, world, alert, received)


async def _take_in_alert(connection: AsyncConnection, world: World, alert: Alert, received: datetime) -> None:
    key, now = key_of(alert.labels, world.remediations), world.clock.now()
    if alert.status == "firing":
        await episodes.confirm(connection, key, alert, received, now)
        return
    ended = await episodes.resolve(connection, key, alert, now)
    if ended is not None:
        await call_off(connection, world, ended, "resolved")


async def call_off(connection: AsyncConnection, world: World, ended: Episode, reason: str) -> None:
    """Cancel the run of an ended episode if it has not touched anything; one that has goes on to its proof."""
    run = await runs.last_of(connection, ended.id)
    log.info("episode ended", stack=ended.stack, remediation=ended.remediation, target=ended.target, reason=reason)
    if run is not None and run.state in CANCELLABLE:
        await advance(connection, world, run, RunState.CANCELLED, reason=reason)
