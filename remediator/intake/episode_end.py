"""Ends an episode, whether its alerts were resolved or have vanished."""

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger import episodes, outbox, runs
from remediator.ledger.episodes import Episode
from remediator.model.run_state import CANCELLABLE, RunState
from remediator.runs.transitions import transition

log = structlog.get_logger(__name__)


async def end_episode(connection: AsyncConnection, context: Context, episode: Episode, reason: str) -> None:
    """End `episode`, and cancel its run.

    A run with effects continues to its proof, and so does one that an operator started.
    """
    await episodes.end(connection, episode, reason, context.clock.now())
    log.info(
        "episode ended", stack=episode.stack, remediation=episode.remediation, target=episode.target, reason=reason
    )
    run = await runs.last_of_episode(connection, episode.id)
    if run is not None and run.state in CANCELLABLE and run.answers_an_alert:
        await transition(connection, context, run, RunState.CANCELLED, reason=reason)
    await outbox.drop_unsent_steps(connection, episode.id)  # notify_ends queues the message of the end
