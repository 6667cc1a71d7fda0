"""Open episodes that may need another run. The engine queries them every second."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import Instant, LedgerRow, episode, run
from remediator.model.clock import CLOCK_TOLERANCE
from remediator.model.episode_key import EpisodeKey
from remediator.model.run_state import RunState

_EPISODE = (episode.c.id, episode.c.stack, episode.c.remediation, episode.c.target, episode.c.confirmed_at)
_newer_run = run.alias()
_newest_run_id = select(func.max(_newer_run.c.id)).where(_newer_run.c.episode == episode.c.id).scalar_subquery()
_future = bindparam("future", type_=Instant())
_was_confirmed_since = or_(
    run.c.finished_at < episode.c.confirmed_at,
    # The clock was set back since the run ended, and the episode was confirmed after that.
    and_(run.c.finished_at > _future, episode.c.confirmed_at <= _future),
)
_CANDIDATES = (
    select(*_EPISODE, run.c.state, run.c.created_at, run.c.finished_at, run.c.reason)
    .select_from(episode.outerjoin(run, run.c.id == _newest_run_id))
    .where(episode.c.ended_at.is_(None), or_(run.c.id.is_(None), _was_confirmed_since))
    .order_by(episode.c.id)
)


@dataclass(frozen=True)
class Candidate:
    """An open episode and its last run; `state` is None if it has no run."""

    episode: int
    key: EpisodeKey
    confirmed_at: datetime
    state: RunState | None
    created_at: datetime | None
    finished_at: datetime | None
    reason: str | None = None


async def candidates(connection: AsyncConnection, now: datetime) -> Sequence[Candidate]:
    """Return open episodes without a run, or confirmed since their last run ended."""
    return [_candidate(row) for row in await connection.execute(_CANDIDATES, {"future": now + CLOCK_TOLERANCE})]


def _candidate(row: LedgerRow) -> Candidate:
    state = RunState(row.state) if row.state is not None else None
    key = EpisodeKey(row.stack, row.remediation, row.target)
    return Candidate(row.id, key, row.confirmed_at, state, row.created_at, row.finished_at, row.reason)
