"""Reads, in the admitting transaction, all that the bounds judge; and notes a storm that it sees, for its cooldown."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import HOUR, BoundFacts
from remediator.bounds.kill_switch import pause_reason
from remediator.clients.alertmanager import AlertmanagerUnreadable, select_firing
from remediator.context import Context
from remediator.ledger import episodes, runs, switches
from remediator.ledger.episodes import Episode
from remediator.ledger.runs import Run
from remediator.model.target import ResolvedTarget, resolve_target
from remediator.model.windows import describe_freeze
from runbookd.inventory import Inventory, Mode, Storm, format_duration


async def query_block_on(context: Context, target: ResolvedTarget) -> tuple[Sequence[str], str | None]:
    """Which alerts of `block_on` fire, or why that can not be told. Read before the transaction begins."""
    names = target.settings.block_on
    if not names:
        return (), None
    if context.alertmanager is None:
        return (), "block_on is set, but the inventory has no alertmanager.url to ask"
    try:
        return select_firing(await context.alertmanager.active(), names, target.name.stack), None
    except AlertmanagerUnreadable as error:
        return (), str(error)


async def gather_facts(
    connection: AsyncConnection,
    context: Context,
    target: ResolvedTarget,
    run: Run,
    episode: Episode,
    block_on_result: tuple[Sequence[str], str | None],
) -> BoundFacts:
    """All facts as they are now; nothing can change them before this transaction commits."""
    now = context.clock.now()
    admissions = await runs.admitted_since(connection, now - HOUR, excluded_run=run.id)
    in_stack = [row for row in admissions if row.stack == run.stack]
    active = await runs.active(connection, excluded_run=run.id)
    alerts, targets = await _count_new_alerts(connection, context, now)
    return BoundFacts(
        now=now,
        settings=target.settings,
        max_items=_max_items(target),
        limits=context.inventory.limits,
        stack_limits=target.stack.limits,
        firing_since=episode.firing_since,
        confirmed_at=episode.confirmed_at,
        found=run.found or 0,
        approved_count=len(await runs.items(connection, run.id)) if run.approved_by is not None else 0,
        population=run.population,
        pause_reason=await pause_reason(connection, context, run.stack),
        freeze_detail=describe_freeze(target.stack.freezes.items(), now),
        breaker_reason=await switches.breaker_reason(connection, episode.key),
        storm_detail=await _storm_detail(connection, context.inventory.limits.storm, alerts, targets, now),
        blocking_alerts=block_on_result[0],
        alertmanager_error=block_on_result[1],
        window=target.stack.windows[target.settings.only_in] if target.settings.only_in else None,
        last_admitted_end=await _last_end(connection, run),
        remediation_admissions=[row.admitted_at for row in in_stack if row.remediation == run.remediation],
        stack_admissions=[row.admitted_at for row in in_stack],
        all_admissions=[row.admitted_at for row in admissions],
        active=len(active),
        active_stack=sum(other.stack == run.stack for other in active),
        target_busy=any(other.target == run.target and other.remediation == run.remediation for other in active),
        new_alerts=alerts,
        new_targets=targets,
    )


def _max_items(target: ResolvedTarget) -> int | None:
    """What the inventory says; else nothing where a batch bounds the run, else the remediation's own cap."""
    if target.settings.max_items is not None:
        return target.settings.max_items
    return None if target.settings.batch is not None else target.remediation.max_items


async def _last_end(connection: AsyncConnection, run: Run) -> datetime | None:
    """When the last admitted run here ended; one that was interrupted has no cooldown."""
    last_run = await runs.last_admitted(connection, run)
    return None if last_run is None else last_run.finished_at


async def _storm_detail(
    connection: AsyncConnection, settings: Storm, alerts: int, targets: int, now: datetime
) -> str | None:
    if targets > settings.targets or alerts > settings.alerts:
        within = format_duration(settings.within)
        detail = f"a storm: {alerts} alerts on {targets} targets within {within}, the limits are"
        detail += f" {settings.alerts} and {settings.targets}; people look first"
        await switches.note_storm(connection, now, detail)
        return detail
    last_seen = await switches.last_storm(connection)
    if last_seen is not None and now < last_seen + settings.cooldown:
        end = last_seen + settings.cooldown
        return f"a storm of alerts was seen at {last_seen:%H:%M:%S} UTC; its cooldown is over at {end:%H:%M:%S} UTC"
    return None


async def _count_new_alerts(connection: AsyncConnection, context: Context, now: datetime) -> tuple[int, int]:
    """How many alerts have begun, on how many targets, within the time in which a storm is looked for."""
    new_episodes = await episodes.all_open(connection, opened_since=now - context.inventory.limits.storm.within)
    actionable_episodes = [each for each in new_episodes if _can_act(context.inventory, context, each)]
    return sum(len(each.alerts) for each in actionable_episodes), len({each.target for each in actionable_episodes})


def _can_act(inventory: Inventory, context: Context, episode: Episode) -> bool:
    """Alerts about things that do not exist, or that nobody lets us touch, make no storm."""
    target = resolve_target(inventory, context.remediations, episode.key)
    return not isinstance(target, str) and target.settings.mode is not Mode.OFF
