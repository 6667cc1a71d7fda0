"""The facts that the bounds judge, read in the admitting transaction. Nothing here writes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.kill_switch import pause_reason
from remediator.bounds.surroundings import NO_SURROUNDINGS, SurroundingFacts, add_ledger_facts, query_surroundings
from remediator.clients.alertmanager import AlertmanagerUnreadable, select_firing
from remediator.context import Context
from remediator.ledger import effects, episodes, run_history, switches
from remediator.ledger.episodes import Episode
from remediator.ledger.runs import Run
from remediator.model.clock import is_recent
from remediator.model.remediation import Trigger
from remediator.model.target import ResolvedTarget, UnresolvedTarget, resolve_target
from remediator.model.windows import describe_freeze
from runbookd.inventory import Limits, Mode, RemediationSettings, StackLimits, Window

HOUR = timedelta(hours=1)
FRESH_STORM = timedelta(seconds=5)  # for which a storm is taken as read: it would have to be counted for each run
SHOWN_TARGETS = 5


@dataclass(frozen=True)
class AlertFacts:
    """When the alerts of the episode began to fire, and when one was last delivered."""

    firing_since: datetime
    confirmed_at: datetime


@dataclass(frozen=True)
class BlockOnFacts:
    """The alerts of `block_on` that fire, or why they could not be read."""

    firing: Sequence[str] = ()
    error: str | None = None


@dataclass(frozen=True)
class OutsideFacts:
    """The facts outside of the ledger, read before the transaction begins."""

    block_on: BlockOnFacts = BlockOnFacts()
    surroundings: SurroundingFacts = NO_SURROUNDINGS


@dataclass(frozen=True)
class StormFacts:
    """The number of new alerts and of their targets, the first of these, and when the last storm was seen."""

    alerts: int = 0
    targets: int = 0
    last_at: datetime | None = None
    first_targets: Sequence[str] = ()


@dataclass(frozen=True)
class PlanFacts:
    """The size of the plan. `approved_count` is 0 unless an operator has seen and confirmed its items."""

    found: int
    population: int | None
    max_items: int | None
    approved_count: int = 0


@dataclass(frozen=True)
class HistoryFacts:
    """Earlier and active runs. The admissions are those of the last hour, oldest first."""

    last_admitted_end: datetime | None = None
    remediation_admissions: Sequence[datetime] = ()
    stack_admissions: Sequence[datetime] = ()
    all_admissions: Sequence[datetime] = ()
    active: int = 0
    active_stack: int = 0
    target_busy: bool = False


@dataclass(frozen=True)
class BoundFacts:
    """All facts that the bounds judge."""

    now: datetime
    settings: RemediationSettings
    limits: Limits
    stack_limits: StackLimits
    alert: AlertFacts
    block_on: BlockOnFacts
    storm: StormFacts
    plan: PlanFacts
    history: HistoryFacts
    window: Window | None = None
    pause_reason: str | None = None
    freeze_detail: str | None = None
    breaker_reason: str | None = None
    surroundings: SurroundingFacts = NO_SURROUNDINGS
    trigger: Trigger = "alert"
    is_undo: bool = False
    only_adds: bool = False

    @property
    def max_alert_age(self) -> timedelta:
        """The stack's own limit, else that of all stacks."""
        return self.stack_limits.alert_age(self.limits)


async def query_outside(context: Context, target: ResolvedTarget, run: int | str) -> OutsideFacts:
    """Query Alertmanager and the surroundings of the target."""
    block_on, surroundings = await asyncio.gather(
        query_block_on(context, target), _query_surroundings(context, target, run)
    )
    return OutsideFacts(block_on, surroundings)


async def _query_surroundings(context: Context, target: ResolvedTarget, run: int | str) -> SurroundingFacts:
    if context.simulated is None:
        return await query_surroundings(target, run)
    found = context.simulated.surroundings(target.name.stack, context.clock.now())
    return SurroundingFacts(**{bound: found.get(bound, ()) for bound in target.remediation.refused_by})


async def query_block_on(context: Context, target: ResolvedTarget) -> BlockOnFacts:
    """Query Alertmanager for the alerts of `block_on`."""
    names = target.settings.block_on
    if not names:
        return BlockOnFacts()
    if context.alertmanager is None:
        return BlockOnFacts(error="block_on is set, but the inventory has no alertmanager.url; set it")
    try:
        return BlockOnFacts(select_firing(await context.alertmanager.active(), names, target.name.stack))
    except AlertmanagerUnreadable as error:
        return BlockOnFacts(error=str(error))


async def gather_facts(
    connection: AsyncConnection,
    context: Context,
    target: ResolvedTarget,
    run: Run,
    episode: Episode,
    outside: OutsideFacts,
    *,
    counts_alerts: bool = True,
) -> BoundFacts:
    """Read all facts; nothing can change them before this transaction commits.

    In a storm that was just seen, the alerts need not be counted for each of its runs.
    """
    now, settings = context.clock.now(), target.settings
    return BoundFacts(
        now=now,
        settings=settings,
        limits=context.inventory.limits,
        stack_limits=target.stack.limits,
        alert=AlertFacts(episode.firing_since, episode.confirmed_at),
        block_on=outside.block_on,
        storm=await read_storm(connection, context, now, counts_alerts=counts_alerts),
        plan=await _read_plan(connection, target, run),
        history=await _read_history(connection, context, run, now),
        window=target.stack.windows[settings.only_in] if settings.only_in else None,
        pause_reason=await pause_reason(connection, context, run.stack),
        freeze_detail=describe_freeze(target.stack.freezes.items(), now),
        breaker_reason=await switches.breaker_reason(connection, episode.key),
        surroundings=await add_ledger_facts(connection, target, run, outside.surroundings, now),
        trigger=run.trigger,
        is_undo=run.undoes is not None,
        only_adds=target.remediation.only_adds,
    )


async def read_storm(
    connection: AsyncConnection, context: Context, now: datetime, *, counts_alerts: bool = True
) -> StormFacts:
    """Count the alerts and targets that are new, and read when a storm was seen last."""
    last_at = await switches.last_storm(connection)
    if not counts_alerts:
        return StormFacts(last_at=last_at)
    since = now - context.inventory.limits.storm.within
    new = [each for each in await episodes.all_open(connection, opened_since=since) if _can_act(context, each)]
    alerts, targets = sum(len(each.alerts) for each in new), sorted({each.target for each in new})
    return StormFacts(alerts, len(targets), last_at, targets[:SHOWN_TARGETS])


async def is_storm_fresh(connection: AsyncConnection, now: datetime) -> bool:
    """Return whether a storm was just seen."""
    last_at = await switches.last_storm(connection)
    return last_at is not None and is_recent(last_at, FRESH_STORM, now)


def _can_act(context: Context, episode: Episode) -> bool:
    """Return whether the episode counts toward a storm.

    An alert has opened it, its target exists, and its remediation acts and is not off.
    """
    if not episode.has_alerts:
        return False
    match resolve_target(context.inventory, context.remediations, episode.key):
        case UnresolvedTarget():
            return False
        case ResolvedTarget() as target:
            return target.settings.mode is not Mode.OFF and not target.remediation.reads_only


async def _read_plan(connection: AsyncConnection, target: ResolvedTarget, run: Run) -> PlanFacts:
    approved_count = len(await effects.items(connection, run.id)) if run.keeps_its_plan else 0
    return PlanFacts(run.found or 0, run.population, _max_items(target), approved_count)


def _max_items(target: ResolvedTarget) -> int | None:
    """Return the inventory's limit, else none if a batch is set, else the remediation's."""
    if target.settings.max_items is not None:
        return target.settings.max_items
    return None if target.settings.batch is not None else target.remediation.max_items


async def _read_history(connection: AsyncConnection, context: Context, run: Run, now: datetime) -> HistoryFacts:
    """Read the earlier and active runs that act; an interrupted one starts no cooldown."""
    reading = {name for name, remediation in context.remediations.items() if remediation.reads_only}
    recent = await run_history.admitted_since(connection, now - HOUR, excluded_run=run.id)
    admissions = [row for row in recent if row.remediation not in reading]
    in_stack = [row for row in admissions if row.stack == run.stack]
    under_way = await run_history.active(connection, excluded_run=run.id)
    active = [other for other in under_way if other.remediation not in reading]
    last_run = await run_history.last_admitted(connection, run)
    return HistoryFacts(
        last_admitted_end=last_run.finished_at if last_run is not None else None,
        remediation_admissions=[row.admitted_at for row in in_stack if row.remediation == run.remediation],
        stack_admissions=[row.admitted_at for row in in_stack],
        all_admissions=[row.admitted_at for row in admissions],
        active=len(active),
        active_stack=sum(other.stack == run.stack for other in active),
        target_busy=any(other.target == run.target and other.remediation == run.remediation for other in active),
    )
