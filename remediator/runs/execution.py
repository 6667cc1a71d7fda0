"""The second half of a run: touches the items, each only after its intent is durable, and proves the result."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.bounds import unconfirmed
from remediator.bounds.kill_switch import pause_reason
from remediator.context import World
from remediator.ledger import episodes, runs
from remediator.ledger.runs import LostRun, Run, RunItem
from remediator.model.errors import LedgerUnavailable
from remediator.model.remediation import Hands, Item, ItemState, Outcome, Verdict
from remediator.model.run_state import CRASH, RunState
from remediator.model.target import Found
from remediator.model.windows import active_freeze, in_window
from remediator.runs.transitions import advance
from remediator.shutdown import Stop

LOOK_EVERY_SECONDS = 1.0
SETTLE_ATTEMPTS = 5
CONNECT_SECONDS = 15.0
STOPPING = "stopping"
STOPPED = "stopped"  # the evidence of why no further effect begins
# Items that were to be touched and were not; a proof reads only the applied ones, so it may be clean all the same.
_LEFT = frozenset({ItemState.FAILED, ItemState.NOT_APPLIED, ItemState.PLANNED})
log = structlog.get_logger(__name__)


async def execute(world: World, run: Run, found: Found, stop: Stop) -> Run:
    """Touch the items of an admitted run, one effect after the other, and say what became of them."""
    async with world.ledger.read() as connection:
        items = await runs.items(connection, run.id)
    groups = [list(items)] if found.remediation.one_effect else [[each] for each in items]
    done = None
    try:
        async with asyncio.timeout(CONNECT_SECONDS) as connecting, found.remediation.open(found.scope(run.id)) as hands:
            connecting.reschedule(None)  # from here on every effect has its own limit
            done = await _effects(world, run, found, hands, groups, stop)
    except (LostRun, LedgerUnavailable):
        raise
    except Exception as error:
        if done is None:
            return await _failed_to_begin(world, run, error)
        log.warning("the target was not left in good order", run=run.id, error=str(error))
    return await _conclude(world, done)


async def _failed_to_begin(world: World, run: Run, error: Exception) -> Run:
    """The target was lost before the first effect, so nothing has been applied. Later than that, `recover` looks."""
    async with world.ledger.write() as connection:
        current = await runs.get(connection, run.id)
        if current.state is not RunState.ADMITTED:
            raise error
        noted = await runs.add_evidence(connection, current, error=str(error) or "no answer in time")
        return await advance(connection, world, noted, RunState.FAILED, reason="target_unreachable")


async def _effects(
    world: World, run: Run, found: Found, hands: Hands, groups: Sequence[Sequence[RunItem]], stop: Stop
) -> Run:
    for group in groups:
        async with world.ledger.write() as connection:
            reason = await _reason_to_stop(connection, world, run, found, stop)
            if reason is not None:
                return await _stop(connection, world, run, reason)
            if run.state is RunState.ADMITTED:
                run = await advance(connection, world, run, RunState.EXECUTING)
            await runs.intend(connection, run, group, world.clock.now())
        outcomes = await _apply(hands, found, run, [each.item for each in group])
        async with world.ledger.write() as connection:
            await runs.settle(connection, run, group, outcomes, world.clock.now())
        became = Counter(str(outcome.state) for outcome in outcomes)
        log.info("effect", run=run.id, remediation=run.remediation, target=run.target, **became)
        if any(outcome.state in (ItemState.FAILED, ItemState.UNKNOWN) for outcome in outcomes):
            break  # the rest would likely meet the same; what is left stays untouched
    return run


async def _reason_to_stop(connection: AsyncConnection, world: World, run: Run, found: Found, stop: Stop) -> str | None:
    """Asked before every effect, in the transaction of its intent: whatever can begin while a run is under way."""
    now = world.clock.now()
    if stop.is_set():
        return STOPPING
    if await pause_reason(connection, world, run.stack) is not None:
        return "kill_switch"
    if active_freeze(found.stack.freezes.items(), now) is not None:
        return "freeze"
    if found.settings.only_in is not None and not in_window(found.stack.windows[found.settings.only_in], now):
        return "window"
    episode = await episodes.get(connection, run.episode)
    stale = unconfirmed(now, episode.confirmed_at, world.inventory.limits, found.stack.limits)
    return episode.end_reason or ("stale" if stale is not None else None)


async def _stop(connection: AsyncConnection, world: World, run: Run, reason: str) -> Run:
    log.info("no further effect", run=run.id, reason=reason)
    if run.state is RunState.ADMITTED and reason == STOPPING:
        return run  # it goes on after the restart, where a note of this stop would excuse whatever happens then
    if run.state is RunState.ADMITTED:
        return await advance(connection, world, run, RunState.CANCELLED, reason=reason)
    return await runs.add_evidence(connection, run, **{STOPPED: reason})


async def _apply(hands: Hands, found: Found, run: Run, items: Sequence[Item]) -> Sequence[Outcome]:
    """One effect. Whatever goes wrong in it, its outcome is looked up instead of guessed."""
    try:
        async with asyncio.timeout(hands.effect_timeout.total_seconds()):
            return await hands.apply(items)
    except Exception as error:
        log.warning("an effect did not answer", run=run.id, error=f"{type(error).__name__}: {error}")
        return await look_up(found, run, items, f"{type(error).__name__}: {error}")


async def look_up(found: Found, run: Run, items: Sequence[Item], cause: str) -> Sequence[Outcome]:
    """Find out, read-only, what became of an effect that did not answer; UNKNOWN where nobody can tell."""
    for attempt in range(SETTLE_ATTEMPTS):
        try:
            async with _looking(found, run) as hands:
                outcomes = await hands.settle(items)
                return [Outcome(each.state, f"{cause}; {each.detail}".rstrip("; ")) for each in outcomes]
        except Exception as error:
            log.warning("an outcome can not be looked up", run=run.id, attempt=attempt, error=str(error))
            await asyncio.sleep(min(2**attempt, 8))
    return [Outcome(ItemState.UNKNOWN, cause)] * len(items)


@asynccontextmanager
async def _looking(found: Found, run: Run) -> AsyncIterator[Hands]:
    """Hands for one look. It may take as long as an effect: reading a large dump takes as long as writing it."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS) as limit, found.remediation.open(found.scope(run.id)) as hands:
        limit.reschedule(loop.time() + hands.effect_timeout.total_seconds() + CONNECT_SECONDS)
        yield hands


async def recover(world: World, run: Run, found: Found) -> Run:
    """End a run that a crash has interrupted inside its effects: look up what was intended, apply nothing."""
    async with world.ledger.write() as connection:
        run = await runs.take_over(connection, run)
        intended = [each for each in await runs.items(connection, run.id) if each.state is ItemState.INTENDED]
    if intended:
        outcomes = await look_up(found, run, [each.item for each in intended], "interrupted by a crash")
        async with world.ledger.write() as connection:
            await runs.settle(connection, run, intended, outcomes, world.clock.now())
    async with world.ledger.write() as connection:
        states = {each.state for each in await runs.items(connection, run.id)}
        to = RunState.UNKNOWN if ItemState.UNKNOWN in states else RunState.INTERRUPTED
        return await advance(connection, world, run, to, reason=str(run.evidence.get(STOPPED, CRASH)))


async def note_stop(world: World, identifier: int) -> None:
    """An effect may outlast the process that was told to stop; the next one shall not take that for a crash."""
    async with world.ledger.write() as connection:
        run = await runs.get(connection, identifier)
        if run.state is RunState.EXECUTING:
            await runs.add_evidence(connection, run, **{STOPPED: STOPPING})


async def lose(world: World, run: Run, why: str) -> Run:
    """End a run that nobody can look after any more, in its effects or in its proof; what was intended is unknown."""
    async with world.ledger.write() as connection:
        run = await runs.take_over(connection, run)
        intended = [each for each in await runs.items(connection, run.id) if each.state is ItemState.INTENDED]
        if intended:
            outcomes = [Outcome(ItemState.UNKNOWN, why)] * len(intended)
            await runs.settle(connection, run, intended, outcomes, world.clock.now())
        noted = await runs.add_evidence(connection, run, error=why)
        return await advance(connection, world, noted, RunState.UNKNOWN, reason="lost")


async def _conclude(world: World, run: Run) -> Run:
    """What the effects together amount to. A run that was cancelled before its first effect has ended already."""
    if run.state is not RunState.EXECUTING:
        return run
    async with world.ledger.write() as connection:
        states = {each.state for each in await runs.items(connection, run.id)}
        stopped = str(run.evidence.get(STOPPED, ""))
        if ItemState.UNKNOWN in states:
            return await advance(connection, world, run, RunState.UNKNOWN, reason="outcome_unknown")
        if stopped and ItemState.PLANNED in states:
            return await advance(connection, world, run, RunState.INTERRUPTED, reason=stopped)
        if ItemState.APPLIED in states:
            return await advance(connection, world, run, RunState.VERIFYING)
        if states & {ItemState.FAILED, ItemState.NOT_APPLIED}:
            return await advance(connection, world, run, RunState.FAILED, reason="effect_failed")
        return await advance(connection, world, run, RunState.NOTHING_TO_DO, reason="changed_since_planned")


async def verify(world: World, run: Run, found: Found, stop: Stop) -> Run:
    """Take the reading that made the plan until it is clean or `verify_within` is over."""
    async with world.ledger.read() as connection:
        items = await runs.items(connection, run.id)
    applied = [each.item for each in items if each.state is ItemState.APPLIED]
    verdict, loop = None, asyncio.get_running_loop()
    deadline = loop.time() + found.settings.verify_within.total_seconds()
    await stop.sleep(found.settings.settle.total_seconds())
    while not stop.is_set():
        seen = await _look_again(found, run, applied)
        verdict = seen or verdict
        if (seen is not None and seen.clean) or loop.time() >= deadline:
            return await _judge(world, run, verdict)
        await stop.sleep(LOOK_EVERY_SECONDS)
    return run


async def _look_again(found: Found, run: Run, applied: Sequence[Item]) -> Verdict | None:
    try:
        async with _looking(found, run) as hands:
            return await hands.look_again(applied)
    except Exception as error:
        log.warning("the result can not be read", run=run.id, error=f"{type(error).__name__}: {error}")
        return None


async def _judge(world: World, run: Run, verdict: Verdict | None) -> Run:
    async with world.ledger.write() as connection:
        if verdict is None:
            return await advance(connection, world, run, RunState.UNKNOWN, reason="result_unreadable")
        run = await runs.add_evidence(connection, run, proof={"clean": verdict.clean, **verdict.evidence})
        if not verdict.clean:
            return await advance(connection, world, run, RunState.INEFFECTIVE, reason="still_there")
        if any(each.state in _LEFT for each in await runs.items(connection, run.id)):
            return await advance(connection, world, run, RunState.INEFFECTIVE, reason="partly_applied")
        return await advance(connection, world, run, RunState.SUCCEEDED)
