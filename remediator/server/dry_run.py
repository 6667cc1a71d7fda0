"""Previews of the engine's decisions: its own code, in a transaction that is always rolled back.

So a preview cannot differ from what the engine decides, and leaves nothing that could change a later decision: no
episode, no run, no reservation, no storm, no audit row. Plans are read with the remediator's rights, as the engine's.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import Decision, decide
from remediator.bounds.facts import BoundFacts, OutsideFacts, gather_facts, query_outside
from remediator.context import Context
from remediator.intake.ingest import apply_deliveries
from remediator.ledger import episodes, run_history, runs
from remediator.ledger.deliveries import StoredDelivery
from remediator.ledger.episodes import Episode
from remediator.ledger.protocol import Ledger
from remediator.ledger.runs import Run
from remediator.model.delivery import Alert, Delivery
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import MalformedDelivery
from remediator.model.remediation import Plan
from remediator.model.run_state import ENDED, UNKNOWN_TARGET, RunState
from remediator.model.target import ResolvedTarget, UnresolvedTarget, keys_of, opens_an_episode, resolve_target
from remediator.runs.exceptions import only_reads
from remediator.runs.planning import PlanFailed, cooldown_of, next_state, read_plan
from runbookd.inventory import Mode

NO_NEW_RUN = "no_new_run"
MAX_TARGETS = 50  # per simulated delivery; far fewer are already a storm
MAX_CONCURRENT_READS = 10


@dataclass(frozen=True)
class Preview:
    """The preview of one episode. `would` is the state that a run would reach, or NO_NEW_RUN."""

    key: EpisodeKey
    would: str
    reason: str = ""
    detail: str = ""
    mode: str | None = None
    plan: Plan | None = None
    decision: Decision | None = None
    facts: BoundFacts | None = None


@dataclass(frozen=True)
class _Reading:
    """A target, its plan and what surrounds it, read before the transaction begins."""

    target: ResolvedTarget
    plan: Plan
    outside: OutsideFacts


async def preview_episode(context: Context, key: EpisodeKey) -> Preview:
    """Preview the decision if the alert of `key` fired now; a run under way is judged again."""
    context = context.snapshot()
    reading = await _read_target(context, key)
    if isinstance(reading, Preview):
        return reading
    async with rolled_back(context.ledger) as connection:
        if await episodes.open_for(connection, key) is None:
            await _apply_delivery(connection, context, _synthetic_delivery(context, key))
        episode = await episodes.open_for(connection, key)
        assert episode is not None  # noqa: S101 - a firing alert of a known target opens one
        run = await runs.last_of_episode(connection, episode.id)
        if run is None or run.state in ENDED:
            run = await runs.create(connection, episode, context.clock.now())
        return await _preview_decision(connection, context, key, episode, run, reading)


async def simulate(context: Context, delivery: Delivery) -> Sequence[Preview]:
    """Preview each episode that `delivery` would concern if it came now.

    Raises:
        MalformedDelivery: it concerns more than MAX_TARGETS targets.
    """
    context = context.snapshot()
    keys = sorted(_episode_keys(context, delivery), key=lambda key: (key.stack, key.remediation, key.target))
    if len(keys) > MAX_TARGETS:
        raise MalformedDelivery(f"the delivery concerns {len(keys)} targets; simulate at most {MAX_TARGETS}")
    limit = asyncio.Semaphore(MAX_CONCURRENT_READS)

    async def read(key: EpisodeKey) -> _Reading | Preview:
        async with limit:
            return await _read_target(context, key)

    readings = await asyncio.gather(*(read(key) for key in keys))
    async with rolled_back(context.ledger) as connection:
        open_before = {key: await episodes.open_for(connection, key) for key in keys}
        await _apply_delivery(connection, context, delivery)
        return [
            await _preview_from_delivery(connection, context, key, open_before[key], reading)
            for key, reading in zip(keys, readings, strict=True)
        ]


@asynccontextmanager
async def rolled_back(ledger: Ledger) -> AsyncIterator[AsyncConnection]:
    """Open a transaction that is always rolled back; its log lines carry `preview`."""
    try:
        with structlog.contextvars.bound_contextvars(preview=True):
            async with ledger.write() as connection:
                yield connection
                raise _Rollback
    except _Rollback:
        return


class _Rollback(Exception):
    """Rolls a transaction back."""


async def _read_target(context: Context, key: EpisodeKey) -> _Reading | Preview:
    """Read the target, or return the preview of a run that ends before any bound is judged."""
    match resolve_target(context.inventory, context.remediations, key):
        case UnresolvedTarget(detail):
            return Preview(key, RunState.REFUSED, UNKNOWN_TARGET, detail)
        case ResolvedTarget() as target:
            mode = str(target.settings.mode)
    if target.settings.mode is Mode.OFF:
        return Preview(key, RunState.REFUSED, "mode_off", "the mode is off", mode)
    match await read_plan(context, target, "preview"):
        case PlanFailed() as failure:
            return Preview(key, failure.state, failure.reason, failure.detail, mode)
        case plan:
            return _Reading(target, plan, await query_outside(context, target, "preview"))


async def _preview_from_delivery(
    connection: AsyncConnection,
    context: Context,
    key: EpisodeKey,
    open_before: Episode | None,
    reading: _Reading | Preview,
) -> Preview:
    episode = await episodes.open_for(connection, key)
    if episode is None:
        not_firing = "nothing in this delivery is firing, or it is a late duplicate"
        detail = "the episode ends: its alerts are resolved" if open_before else not_firing
        return Preview(key, NO_NEW_RUN, "nothing_fires", detail)
    last_run = await runs.last_of_episode(connection, episode.id)
    if last_run is not None and last_run.state not in ENDED:
        return Preview(key, NO_NEW_RUN, "under_way", f"joins run {last_run.id}, which is {last_run.state}")
    cooldown_end = _cooldown_until(context, last_run, key)
    if last_run is not None and cooldown_end is not None:
        detail = f"run {last_run.id} has just ended; next run at {cooldown_end:%Y-%m-%d %H:%M:%S} UTC"
        return Preview(key, NO_NEW_RUN, "cooldown", detail)
    if isinstance(reading, Preview):
        return reading
    run = await runs.create(connection, episode, context.clock.now())
    return await _preview_decision(connection, context, key, episode, run, reading)


def _cooldown_until(context: Context, last_run: Run | None, key: EpisodeKey) -> datetime | None:
    """Return until when the engine plans no further run of the episode, or None."""
    if last_run is None or last_run.finished_at is None or last_run.state is RunState.INTERRUPTED:
        return None
    until = last_run.finished_at + cooldown_of(context, key)
    return until if until > context.clock.now() else None


async def _preview_decision(
    connection: AsyncConnection, context: Context, key: EpisodeKey, episode: Episode, run: Run, reading: _Reading
) -> Preview:
    target, plan = reading.target, reading.plan
    planned_run = replace(run, found=plan.found, population=plan.population)
    facts = await gather_facts(connection, context, target, planned_run, episode, reading.outside)
    decision = decide(facts, reads_only=only_reads(target, planned_run))
    rejected_hash = await run_history.rejected_hash(connection, episode.id)
    state, reason = next_state(target, planned_run, decision, plan, rejected_hash)
    detail = decision.detail if reason == decision.reason else ""
    return Preview(key, state, reason, detail, str(target.settings.mode), plan, decision, facts)


async def _apply_delivery(connection: AsyncConnection, context: Context, delivery: Delivery) -> None:
    await apply_deliveries(connection, context, [(StoredDelivery(0, context.clock.now(), b""), delivery)])


def _episode_keys(context: Context, delivery: Delivery) -> Iterable[EpisodeKey]:
    labels = (alert.labels for alert in delivery.alerts if opens_an_episode(alert.labels, context.remediations))
    return keys_of(labels, context.remediations)


def _synthetic_delivery(context: Context, key: EpisodeKey) -> Delivery:
    """Return a delivery of an alert that begins to fire now."""
    alert = Alert(
        status="firing", labels=_labels_for(context, key), startsAt=context.clock.now(), fingerprint="preview"
    )
    return Delivery(version="4", alerts=(alert,))


def _labels_for(context: Context, key: EpisodeKey) -> dict[str, str]:
    """Return the labels that lead to `key`; see target.key_of."""
    _, _, rest = key.target.removeprefix(f"{key.stack}/").partition("/")
    labels = {"alertname": "(preview)", "stack": key.stack, "remediation": key.remediation}
    if key.is_about_an_alert:
        return labels | {"alertname": rest}
    if context.remediations[key.remediation].kind == "stack":
        del labels["alertname"]  # about the stack itself, not about one of its alerts
    if context.remediations[key.remediation].kind != "queues":
        return labels | {"target": rest}
    name, _, queue = rest.partition("/")
    return labels | {"target": name, "queue": queue}
