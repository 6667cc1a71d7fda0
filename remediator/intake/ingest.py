"""Turns accepted deliveries into episodes. Each alert counts by itself, whatever delivery carried it.

One transaction processes many deliveries, in the order in which they came.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby

import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context, LeaderContext
from remediator.intake.episode_end import end_episode
from remediator.intake.gate import IntakeGate
from remediator.ledger import audit, deliveries, episodes, resolutions, switches
from remediator.ledger.deliveries import StoredDelivery
from remediator.ledger.episodes import EpisodeBatch
from remediator.ledger.firing_alerts import ReceivedAlert
from remediator.model.delivery import Delivery, parse_delivery
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import LedgerUnavailable
from remediator.model.target import key_of, opens_an_episode

# Per transaction: enough that each delivery costs little, but no more, so that other writers do not wait long.
BATCH_SIZE, BATCH_BYTES = 1_000, 2 * 1024 * 1024
MAX_SHOWN_COUNT = 1_000_000  # a sender may claim any number
MAX_BLOCK_SECONDS = 0.002  # for which parsing deliveries may block the event loop
CUT_ALERTS = Counter(
    "remediation_cut_alerts",
    "Alerts since the start whose labels or annotations were too long, or too many, to be kept as a whole.",
    registry=None,
)
log = structlog.get_logger(__name__)


async def process_backlog(context: LeaderContext, gate: IntakeGate) -> int:
    """Process the oldest queued deliveries, and return their number, 0 if there were none.

    Raises:
        LedgerUnavailable: they stay queued for the next round.
    """
    async with context.ledger.read() as connection:
        batch = await deliveries.unprocessed(connection, BATCH_SIZE, BATCH_BYTES)
        gate.waiting = await deliveries.count_unprocessed(connection)
    if batch:
        await _process_batch(context, batch)
        gate.waiting -= len(batch)
    return len(batch)


async def _process_batch(context: LeaderContext, batch: Sequence[StoredDelivery]) -> None:
    try:
        parsed_batch = await _parse_batch(batch)
        async with context.ledger.write() as connection:
            cut_alerts = await apply_deliveries(connection, context, parsed_batch)
            await deliveries.mark_processed(connection, batch, context.clock.now())
        CUT_ALERTS.inc(cut_alerts)
    except LedgerUnavailable:
        raise
    except Exception as error:
        if len(batch) == 1:
            await _quarantine(context, batch[0], error)
            return
        for stored_delivery in batch:  # one by one, so that the faulty delivery does not harm the others
            await _process_batch(context, [stored_delivery])


async def _parse_batch(batch: Sequence[StoredDelivery]) -> list[tuple[StoredDelivery, Delivery]]:
    """Parse before the transaction and in slices, so that incoming deliveries do not wait."""
    parsed_batch, loop = [], asyncio.get_running_loop()
    block_until = loop.time() + MAX_BLOCK_SECONDS
    for stored_delivery in batch:
        parsed_batch.append((stored_delivery, parse_delivery(stored_delivery.body)))
        if loop.time() >= block_until:
            await asyncio.sleep(0)
            block_until = loop.time() + MAX_BLOCK_SECONDS
    return parsed_batch


async def _quarantine(context: LeaderContext, stored_delivery: StoredDelivery, error: Exception) -> None:
    """Set aside a delivery that cannot be processed: it must not hold up those after it."""
    log.error("cannot process a delivery, setting it aside", delivery=stored_delivery.id, exc_info=error)
    async with context.ledger.write() as connection:
        now = context.clock.now()
        await deliveries.mark_processed(connection, [stored_delivery], now)
        detail = {"delivery": stored_delivery.id, "error": type(error).__name__}
        await audit.append(connection, now, "delivery_set_aside", detail=detail)


async def apply_deliveries(
    connection: AsyncConnection, context: Context, parsed_batch: Sequence[tuple[StoredDelivery, Delivery]]
) -> int:
    """Apply deliveries, oldest first, to episodes and their runs; return the number of alerts that were cut."""
    for _, delivery in parsed_batch:
        if delivery.is_truncated:
            detail = f"{min(delivery.truncated_alerts, MAX_SHOWN_COUNT)} alerts were cut off a delivery"
            continues_within = 2 * context.inventory.limits.storm.cooldown
            await switches.note_storm(connection, context.clock.now(), detail, continues_within)
    alerts_by_episode: dict[EpisodeKey, list[ReceivedAlert]] = {}
    for stored_delivery, delivery in parsed_batch:
        for alert in delivery.alerts:
            if opens_an_episode(alert.labels, context.remediations):
                key = key_of(alert.labels, context.remediations)
                alerts_by_episode.setdefault(key, []).append(ReceivedAlert(alert, stored_delivery.received_at))
    alert_keys = {
        received_alert.alert.key for received_alerts in alerts_by_episode.values() for received_alert in received_alerts
    }
    resolution_batch = await resolutions.load_batch(connection, alert_keys, context.repeat_interval)
    episode_batch = await episodes.load_batch(connection, alerts_by_episode, 2 * context.repeat_interval)
    for key, received_alerts in alerts_by_episode.items():
        await _apply_alerts(
            connection, context, episode_batch, key, resolution_batch.drop_late_firings(received_alerts)
        )
    await episode_batch.save()
    await resolution_batch.save()
    return episode_batch.cut_alerts


async def _apply_alerts(
    connection: AsyncConnection,
    context: Context,
    episode_batch: EpisodeBatch,
    key: EpisodeKey,
    received_alerts: Iterator[ReceivedAlert],
) -> None:
    now = context.clock.now()
    for status, same_status in groupby(received_alerts, key=lambda each: each.alert.status):
        if status == "firing":
            await episode_batch.confirm(key, list(same_status), now)
            continue
        ended_episode = await episode_batch.resolve(key, [each.alert for each in same_status])
        if ended_episode is not None:
            await end_episode(connection, context, ended_episode, "resolved")
