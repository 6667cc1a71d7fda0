"""Looks up the outcome of an effect that did not answer: read-only, never guessed, never repeated."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from remediator.ledger.runs import Run
from remediator.model.remediation import EffectOutcome, Item, ItemState, RemediationSession
from remediator.model.target import ResolvedTarget

SETTLE_ATTEMPTS = 5
CONNECT_SECONDS = 15.0
log = structlog.get_logger(__name__)


async def query_outcome(target: ResolvedTarget, run: Run, items: Sequence[Item], cause: str) -> Sequence[EffectOutcome]:
    """Look up the outcome of an effect that did not answer; UNKNOWN if no attempt succeeds."""
    for attempt in range(SETTLE_ATTEMPTS):
        try:
            async with read_session(target, run) as session:
                outcomes = await session.resolve_outcome(items)
                return [EffectOutcome(each.state, f"{cause}; {each.detail}".rstrip("; ")) for each in outcomes]
        except Exception as error:
            log.warning("cannot look up the outcome of an effect", run=run.id, attempt=attempt, error=str(error))
            await asyncio.sleep(min(2**attempt, 8))
    return [EffectOutcome(ItemState.UNKNOWN, cause)] * len(items)


@asynccontextmanager
async def read_session(target: ResolvedTarget, run: Run) -> AsyncIterator[RemediationSession]:
    """Open a session for one reading.

    It may take as long as an effect: reading a large dump takes as long as writing it.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS) as limit, target.remediation.open(target.scope(run.id)) as session:
        limit.reschedule(loop.time() + session.effect_timeout.total_seconds() + CONNECT_SECONDS)
        yield session
