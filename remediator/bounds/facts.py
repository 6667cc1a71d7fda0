"""Reads, in the admitting transaction, all that the bounds judge; and notes a storm that it sees, for its cooldown."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import HOUR, Facts
from remediator.bounds.kill_switch import pause_reason
from remediator.clients.alertmanager import AlertmanagerUnreadable, blocking
from remediator.context import World
from remediator.ledger import episodes, runs, switches
from remediator.ledger.episodes import Episode
from remediator.ledger.runs import Run
from remediator.model.target import Found, find
from remediator.model.windows import freeze_in_words
from runbookd.inventory import Inventory, Mode, Storm, format_duration


async def blockers(world: World, found: Found) -> tuple[Sequence[str], str | None]:
    """Which alerts of `block_on` fire, or why that can not be told. Read before the transaction begins."""
    names = found.settings.block_on
    if not names:
        return (), None
    if world.alertmanager is None:
        return (), "block_on is set, but the inventory has no alertmanager.url to ask"
    try:
        return blocking(await world.alertmanager.active(), names, found.target.stack), None
    except AlertmanagerUnreadable as error:
        return (), str(error)


async def gather(
    connection: AsyncConnection,
    world: World,
    found: Found,
    run: Run,
    episode: Episode,
    blocked: tuple[Sequence[str], str | None],
) -> Facts:
    """All facts as they are now; nothing can change them before this transaction commits."""
    now = world.clock.now()
    admitted = await runs.admitted_since(connection, now - HOUR, besides=run.id)
    in_stack = [row for row in admitted if row.stack == run.stack]
    active = await runs.active(connection, besides=run.id)
    alerts, targets = await _newly_firing(connection, world, now)
    return Facts(
        now=now,
        settings=found.settings,
        max_items=_max_items(found),
        limits=world.inventory.limits,
        stack_limits=found.stack.limits,
        firing_since=episode.firing_since,
        confirmed_at=episode.confirmed_at,
        found=run.found or 0,
        approved=len(await runs.items(connection, run.id)) if run.approved_by is not None else 0,
        population=run.population,
        paused=await pause_reason(connection, world, run.stack),
        freeze=freeze_in_words(found.stack.freezes.items(), now),
        breaker=await switches.breaker_reason(connection, episode.key),
        storm=await _storm(connection, world.inventory.limits.storm, alerts, targets, now),
        blocking_alerts=blocked[0],
        alertmanager_error=blocked[1],
        window=found.stack.windows[found.settings.only_in] if found.settings.only_in else None,
        last_admitted_end=await _last_end(connection, run),
        admitted_here=[row.admitted_at for row in in_stack if row.remediation == run.remediation],
        admitted_stack=[row.admitted_at for row in in_stack],
        admitted_all=[row.admitted_at for row in admitted],
        active=len(active),
        active_stack=sum(other.stack == run.stack for other in active),
        target_busy=any(other.target == run.target and other.remediation == run.remediation for other in active),
        new_alerts=alerts,
        new_targets=targets,
    )


def _max_items(found: Found) -> int | None:
    """What the inventory says; else nothing where a batch bounds the run, else the remediation's own cap."""
    if found.settings.max_items is not None:
        return found.settings.max_items
    return None if found.settings.batch is not None else found.remediation.max_items


async def _last_end(connection: AsyncConnection, run: Run) -> datetime | None:
    """When the last admitted run here ended; one that was interrupted has no cooldown."""
    last = await runs.last_admitted(connection, run)
    return None if last is None else last.finished_at


async def _storm(connection: AsyncConnection, settings: Storm, alerts: int, targets: int, now: datetime) -> str | None:
    if targets > settings.targets or alerts > settings.alerts:
        within = format_duration(settings.within)
        detail = f"a storm: {alerts} alerts on {targets} targets within {within}, the limits are"
        detail += f" {settings.alerts} and {settings.targets}; people look first"
        await switches.note_storm(connection, now, detail)
        return detail
    last = await switches.last_storm(connection)
    if last is not None and now < last + settings.cooldown:
        over = last + settings.cooldown
        return f"a storm of alerts was seen at {last:%H:%M:%S} UTC; its cooldown is over at {over:%H:%M:%S} UTC"
    return None


async def _newly_firing(connection: AsyncConnection, world: World, now: datetime) -> tuple[int, int]:
    """How many alerts have begun, on how many targets, within the time in which a storm is looked for."""
    found = await episodes.all_open(connection, opened_since=now - world.inventory.limits.storm.within)
    recent = [each for each in found if _can_act(world.inventory, world, each)]
    return sum(len(each.alerts) for each in recent), len({each.target for each in recent})


def _can_act(inventory: Inventory, world: World, episode: Episode) -> bool:
    """Alerts about things that do not exist, or that nobody lets us touch, make no storm."""
    found = find(inventory, world.remediations, episode.key)
    return not isinstance(found, str) and found.settings.mode is not Mode.OFF
