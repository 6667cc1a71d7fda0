"""The second half of a run: touches the items, each only after its intent is durable, and proves the result."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import describe_staleness
from remediator.bounds.kill_switch import pause_reason
from remediator.context import Context
from remediator.ledger import episodes, runs
from remediator.ledger.runs import Run, RunItem, StaleRun
from remediator.model.errors import LedgerUnavailable
from remediator.model.remediation import EffectOutcome, Item, ItemState, RemediationSession, Verdict
from remediator.model.run_state import CRASH, RunState
from remediator.model.target import ResolvedTarget
from remediator.model.windows import active_freeze, in_window
from remediator.runs.transitions import transition
from remediator.shutdown import ShutdownSignal

VERIFY_POLL_SECONDS = 1.0
SETTLE_ATTEMPTS = 5
CONNECT_SECONDS = 15.0
SHUTDOWN = "stopping"
STOP_REASON_KEY = "stopped"  # the evidence of why no further effect begins
# Items that were to be touched and were not; a proof reads only the applied ones, so it may be clean all the same.
NOT_DONE = frozenset({ItemState.FAILED, ItemState.NOT_APPLIED, ItemState.PLANNED})
log = structlog.get_logger(__name__)


async def execute(context: Context, run: Run, target: ResolvedTarget, shutdown: ShutdownSignal) -> Run:
    """Touch the items of an admitted run, one effect after the other, and say what became of them."""
    async with context.ledger.read() as connection:
        items = await runs.items(connection, run.id)
    groups = [list(items)] if target.remediation.one_effect else [[each] for each in items]
    executed_run = None
    try:
        async with (
            asyncio.timeout(CONNECT_SECONDS) as connect_limit,
            target.remediation.open(target.scope(run.id)) as session,
        ):
            connect_limit.reschedule(None)  # from here on every effect has its own limit
            executed_run = await _apply_effects(context, run, target, session, groups, shutdown)
    except (StaleRun, LedgerUnavailable):
        raise
    except Exception as error:
        if executed_run is None:
            return await _fail_before_effects(context, run, error)
        log.warning("the target was not left in good order", run=run.id, error=str(error))
    return await _conclude(context, executed_run)


async def _fail_before_effects(context: Context, run: Run, error: Exception) -> Run:
    """The target was lost before the first effect, so nothing has been applied. Later than that, `recover` looks."""
    async with context.ledger.write() as connection:
        current_run = await runs.get(connection, run.id)
        if current_run.state is not RunState.ADMITTED:
            raise error
        updated_run = await runs.add_evidence(connection, current_run, error=str(error) or "no answer in time")
        return await transition(connection, context, updated_run, RunState.FAILED, reason="target_unreachable")


async def _apply_effects(
    context: Context,
    run: Run,
    target: ResolvedTarget,
    session: RemediationSession,
    groups: Sequence[Sequence[RunItem]],
    shutdown: ShutdownSignal,
) -> Run:
    for group in groups:
        async with context.ledger.write() as connection:
            reason = await _reason_to_stop(connection, context, run, target, shutdown)
            if reason is not None:
                return await _end_effects(connection, context, run, reason)
            if run.state is RunState.ADMITTED:
                run = await transition(connection, context, run, RunState.EXECUTING)
            await runs.intend(connection, run, group, context.clock.now())
        outcomes = await _apply(session, target, run, [each.item for each in group])
        async with context.ledger.write() as connection:
            await runs.settle(connection, run, group, outcomes, context.clock.now())
        outcome_counts = Counter(str(outcome.state) for outcome in outcomes)
        log.info("effect", run=run.id, remediation=run.remediation, target=run.target, **outcome_counts)
        if any(outcome.state in (ItemState.FAILED, ItemState.UNKNOWN) for outcome in outcomes):
            break  # the rest would likely meet the same; what is left stays untouched
    return run


async def _reason_to_stop(
    connection: AsyncConnection, context: Context, run: Run, target: ResolvedTarget, shutdown: ShutdownSignal
) -> str | None:
    """Asked before every effect, in the transaction of its intent: whatever can begin while a run is under way."""
    now = context.clock.now()
    if shutdown.is_set():
        return SHUTDOWN
    if await pause_reason(connection, context, run.stack) is not None:
        return "kill_switch"
    if active_freeze(target.stack.freezes.items(), now) is not None:
        return "freeze"
    if target.settings.only_in is not None and not in_window(target.stack.windows[target.settings.only_in], now):
        return "window"
    episode = await episodes.get(connection, run.episode)
    stale_detail = describe_staleness(now, episode.confirmed_at, context.inventory.limits, target.stack.limits)
    return episode.end_reason or ("stale" if stale_detail is not None else None)


async def _end_effects(connection: AsyncConnection, context: Context, run: Run, reason: str) -> Run:
    log.info("no further effect", run=run.id, reason=reason)
    if run.state is RunState.ADMITTED and reason == SHUTDOWN:
        return run  # it goes on after the restart, where a note of this stop would excuse whatever happens then
    if run.state is RunState.ADMITTED:
        return await transition(connection, context, run, RunState.CANCELLED, reason=reason)
    return await runs.add_evidence(connection, run, **{STOP_REASON_KEY: reason})


async def _apply(
    session: RemediationSession, target: ResolvedTarget, run: Run, items: Sequence[Item]
) -> Sequence[EffectOutcome]:
    """One effect. Whatever goes wrong in it, its outcome is looked up instead of guessed."""
    try:
        async with asyncio.timeout(session.effect_timeout.total_seconds()):
            return await session.apply(items)
    except Exception as error:
        log.warning("an effect did not answer", run=run.id, error=f"{type(error).__name__}: {error}")
        return await query_outcome(target, run, items, f"{type(error).__name__}: {error}")


async def query_outcome(target: ResolvedTarget, run: Run, items: Sequence[Item], cause: str) -> Sequence[EffectOutcome]:
    """Find out, read-only, what became of an effect that did not answer; UNKNOWN where nobody can tell."""
    for attempt in range(SETTLE_ATTEMPTS):
        try:
            async with _read_session(target, run) as session:
                outcomes = await session.resolve_outcome(items)
                return [EffectOutcome(each.state, f"{cause}; {each.detail}".rstrip("; ")) for each in outcomes]
        except Exception as error:
            log.warning("an outcome can not be looked up", run=run.id, attempt=attempt, error=str(error))
            await asyncio.sleep(min(2**attempt, 8))
    return [EffectOutcome(ItemState.UNKNOWN, cause)] * len(items)


@asynccontextmanager
async def _read_session(target: ResolvedTarget, run: Run) -> AsyncIterator[RemediationSession]:
    """A session for one reading. It may take as long as an effect: reading a large dump takes as long as writing it."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS) as limit, target.remediation.open(target.scope(run.id)) as session:
        limit.reschedule(loop.time() + session.effect_timeout.total_seconds() + CONNECT_SECONDS)
        yield session


async def recover(context: Context, run: Run, target: ResolvedTarget) -> Run:
    """End a run that a crash has interrupted inside its effects: look up what was intended, apply nothing."""
    async with context.ledger.write() as connection:
        run = await runs.take_over(connection, run)
        intended_items = [each for each in await runs.items(connection, run.id) if each.state is ItemState.INTENDED]
    if intended_items:
        outcomes = await query_outcome(target, run, [each.item for each in intended_items], "interrupted by a crash")
        async with context.ledger.write() as connection:
            await runs.settle(connection, run, intended_items, outcomes, context.clock.now())
    async with context.ledger.write() as connection:
        states = {each.state for each in await runs.items(connection, run.id)}
        to = RunState.UNKNOWN if ItemState.UNKNOWN in states else RunState.INTERRUPTED
        return await transition(connection, context, run, to, reason=str(run.evidence.get(STOP_REASON_KEY, CRASH)))


async def record_shutdown(context: Context, identifier: int) -> None:
    """An effect may outlast the process that was told to stop; the next one shall not take that for a crash."""
    async with context.ledger.write() as connection:
        run = await runs.get(connection, identifier)
        if run.state is RunState.EXECUTING:
            await runs.add_evidence(connection, run, **{STOP_REASON_KEY: SHUTDOWN})


async def mark_unknown(context: Context, run: Run, detail: str) -> Run:
    """End a run that nobody can look after any more, in its effects or in its proof; what was intended is unknown."""
    async with context.ledger.write() as connection:
        run = await runs.take_over(connection, run)
        intended_items = [each for each in await runs.items(connection, run.id) if each.state is ItemState.INTENDED]
        if intended_items:
            outcomes = [EffectOutcome(ItemState.UNKNOWN, detail)] * len(intended_items)
            await runs.settle(connection, run, intended_items, outcomes, context.clock.now())
        updated_run = await runs.add_evidence(connection, run, error=detail)
        return await transition(connection, context, updated_run, RunState.UNKNOWN, reason="lost")


async def _conclude(context: Context, run: Run) -> Run:
    """What the effects together amount to. A run that was cancelled before its first effect has ended already."""
    if run.state is not RunState.EXECUTING:
        return run
    async with context.ledger.write() as connection:
        states = {each.state for each in await runs.items(connection, run.id)}
        stop_reason = str(run.evidence.get(STOP_REASON_KEY, ""))
        if ItemState.UNKNOWN in states:
            return await transition(connection, context, run, RunState.UNKNOWN, reason="outcome_unknown")
        if stop_reason and ItemState.PLANNED in states:
            return await transition(connection, context, run, RunState.INTERRUPTED, reason=stop_reason)
        if ItemState.APPLIED in states:
            return await transition(connection, context, run, RunState.VERIFYING)
        if states & {ItemState.FAILED, ItemState.NOT_APPLIED}:
            return await transition(connection, context, run, RunState.FAILED, reason="effect_failed")
        return await transition(connection, context, run, RunState.NOTHING_TO_DO, reason="changed_since_planned")


async def verify(context: Context, run: Run, target: ResolvedTarget, shutdown: ShutdownSignal) -> Run:
    """Take the reading that made the plan until it is clean or `verify_within` is over."""
    async with context.ledger.read() as connection:
        items = await runs.items(connection, run.id)
    applied_items = [each.item for each in items if each.state is ItemState.APPLIED]
    verdict, loop = None, asyncio.get_running_loop()
    deadline = loop.time() + target.settings.verify_within.total_seconds()
    await shutdown.sleep(target.settings.settle.total_seconds())
    while not shutdown.is_set():
        new_verdict = await _read_verdict(target, run, applied_items)
        verdict = new_verdict or verdict
        if (new_verdict is not None and new_verdict.clean) or loop.time() >= deadline:
            return await _apply_verdict(context, run, verdict)
        await shutdown.sleep(VERIFY_POLL_SECONDS)
    return run


async def _read_verdict(target: ResolvedTarget, run: Run, applied_items: Sequence[Item]) -> Verdict | None:
    try:
        async with _read_session(target, run) as session:
            return await session.verify(applied_items)
    except Exception as error:
        log.warning("the result can not be read", run=run.id, error=f"{type(error).__name__}: {error}")
        return None


async def _apply_verdict(context: Context, run: Run, verdict: Verdict | None) -> Run:
    async with context.ledger.write() as connection:
        if verdict is None:
            return await transition(connection, context, run, RunState.UNKNOWN, reason="result_unreadable")
        run = await runs.add_evidence(connection, run, proof={"clean": verdict.clean, **verdict.evidence})
        if not verdict.clean:
            return await transition(connection, context, run, RunState.INEFFECTIVE, reason="still_there")
        if any(each.state in NOT_DONE for each in await runs.items(connection, run.id)):
            return await transition(connection, context, run, RunState.INEFFECTIVE, reason="partly_applied")
        return await transition(connection, context, run, RunState.SUCCEEDED)
