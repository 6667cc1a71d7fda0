"""Runs. Every change of state goes through `move`, which writes the audit row."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit, run_counts
from remediator.ledger.episodes import Episode
from remediator.ledger.run_row import Origin
from remediator.ledger.run_row import Run as Run
from remediator.ledger.run_row import from_row as from_row
from remediator.ledger.schema import run
from remediator.model.cuts import cut_values
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import RemediatorError
from remediator.model.run_state import ENDED, TRANSITIONS, RunState

ALERT = Origin()
# Built once: they are executed at each change of a run, or each second.
_BY_ID = select(run).where(run.c.id == bindparam("identifier"))
_LAST_OF_EPISODE = select(run).where(run.c.episode == bindparam("of_episode")).order_by(run.c.id.desc()).limit(1)
_INSERT = insert(run)
_MOVE = update(run).where(
    run.c.id == bindparam("which"), run.c.state == bindparam("last_state"), run.c.fence == bindparam("last_fence")
)
_UNFINISHED = select(run).where(run.c.state.in_(sorted(TRANSITIONS))).order_by(run.c.id)


class StaleRun(RemediatorError):
    """The run was moved or taken over since it was read; the caller must stop."""


async def create(connection: AsyncConnection, cause: Episode, now: datetime, origin: Origin = ALERT) -> Run:
    """Plan a new run of the episode `cause`."""
    names = {"stack": cause.stack, "remediation": cause.remediation, "target": cause.target}
    row = {"episode": cause.id, **names, "state": RunState.PLANNED, "created_at": now, **asdict(origin)}
    result = await connection.execute(_INSERT, row)
    assert result.inserted_primary_key is not None  # noqa: S101 - an insert of one row always has one
    identifier = int(result.inserted_primary_key[0])
    detail = {"episode": cause.id, **origin.as_detail()}
    await audit.append(connection, now, RunState.PLANNED, run=identifier, actor=origin.actor, detail=detail)
    return await get(connection, identifier)


async def move(
    connection: AsyncConnection,
    current: Run,
    to: RunState,
    now: datetime,
    *,
    reason: str = "",
    actor: str = "remediator",
    evidence: Mapping[str, Any] | None = None,
    counted_as: EpisodeKey | None = None,
    **columns: Any,
) -> Run:
    """Move a run to its next state, in one transaction with its audit row; counted under its own names by default.

    Raises:
        StaleRun: the run is no longer in the state of `current`, or has been taken over.
    """
    if to not in TRANSITIONS[current.state]:
        raise AssertionError(f"run {current.id}: no transition from {current.state} to {to}")
    if to in ENDED:
        columns["finished_at"] = now
    if evidence:
        columns["evidence"] = {**(await get(connection, current.id)).evidence, **cut_values(evidence)}
    result = await connection.execute(_MOVE, {**_unchanged(current), "state": to, "reason": reason, **columns})
    if result.rowcount != 1:
        raise StaleRun(f"run {current.id} is no longer {current.state}")
    await audit.append(connection, now, to, run=current.id, actor=actor, detail={"reason": reason} if reason else {})
    moved_run = await get(connection, current.id)
    if to in ENDED or to is RunState.DEFERRED:
        await run_counts.count(connection, moved_run, counted_as or moved_run.key, now)
    return moved_run


def _unchanged(current: Run) -> Mapping[str, Any]:
    """Return the parameters by which _MOVE moves only a run that nobody has moved or taken over since."""
    return {"which": current.id, "last_state": current.state, "last_fence": current.fence}


async def take_over(connection: AsyncConnection, current: Run) -> Run:
    """Raise the fence, so that tasks begun under the old one cannot write any more.

    Raises:
        StaleRun: the run is no longer in the state of `current`, or has been taken over.
    """
    result = await connection.execute(_MOVE, {**_unchanged(current), "fence": current.fence + 1})
    if result.rowcount != 1:
        raise StaleRun(f"run {current.id} is no longer {current.state}, or has been taken over")
    return await get(connection, current.id)


async def end_waits(connection: AsyncConnection, now: datetime) -> None:
    """Let deferred runs be judged again at the next delivery of their alert, as their bounds may have changed."""
    is_waiting = (run.c.state == RunState.DEFERRED, run.c.not_before > now)
    await connection.execute(update(run).where(*is_waiting).values(not_before=now))


async def withdraw_approval(connection: AsyncConnection, current: Run, now: datetime, actor: str) -> None:
    """Delete the approval of a run, so that only another approval can admit it.

    Raises:
        StaleRun: the run has changed since it was read.
    """
    taken_run = await take_over(connection, current)  # a task that saw the approval must not admit the run
    await connection.execute(update(run).where(run.c.id == taken_run.id).values(approved_by=None))
    detail = {"approved_by": current.approved_by}
    await audit.append(connection, now, "approval_withdrawn", run=current.id, actor=actor, detail=detail)


async def get(connection: AsyncConnection, identifier: int) -> Run:
    """Return the run with this number."""
    return from_row((await connection.execute(_BY_ID, {"identifier": identifier})).one())


async def get_or_none(connection: AsyncConnection, identifier: int) -> Run | None:
    """Return the run with this number, or None."""
    row = (await connection.execute(select(run).where(run.c.id == identifier))).one_or_none()
    return None if row is None else from_row(row)


async def newest_of_episode(connection: AsyncConnection, identifier: int, limit: int) -> tuple[Sequence[Run], int]:
    """Return the newest runs of an episode, newest first, and the number of all."""
    of_episode = run.c.episode == identifier
    total = (await connection.execute(select(func.count()).where(of_episode))).scalar_one()
    rows = await connection.execute(select(run).where(of_episode).order_by(run.c.id.desc()).limit(limit))
    return [from_row(row) for row in rows], int(total)


async def unfinished(connection: AsyncConnection) -> Sequence[Run]:
    """Return all runs that have not ended, oldest first."""
    return [from_row(row) for row in await connection.execute(_UNFINISHED)]


async def unfinished_of(connection: AsyncConnection, key: EpisodeKey) -> Run | None:
    """Return the oldest run of `key` that has not ended, or None."""
    same = run.c.stack == key.stack, run.c.remediation == key.remediation, run.c.target == key.target
    rows = await connection.execute(select(run).where(*same, run.c.state.in_(TRANSITIONS)).order_by(run.c.id).limit(1))
    row = rows.one_or_none()
    return None if row is None else from_row(row)


async def undoing(connection: AsyncConnection, identifier: int) -> Sequence[Run]:
    """Return the runs that undo the run with this number, oldest first."""
    rows = await connection.execute(select(run).where(run.c.undoes == identifier).order_by(run.c.id))
    return [from_row(row) for row in rows]


async def last_of_episode(connection: AsyncConnection, identifier: int) -> Run | None:
    """Return the newest run of an episode, or None."""
    row = (await connection.execute(_LAST_OF_EPISODE, {"of_episode": identifier})).one_or_none()
    return None if row is None else from_row(row)


async def last_of_episodes(connection: AsyncConnection, episodes: Collection[int]) -> Mapping[int, Run]:
    """Return the newest run of each of these episodes that has one."""
    newest = select(func.max(run.c.id)).where(run.c.episode.in_(episodes)).group_by(run.c.episode)
    rows = await connection.execute(select(run).where(run.c.id.in_(newest)))
    return {row.episode: from_row(row) for row in rows}


async def of_episode(connection: AsyncConnection, episode: int) -> Sequence[Run]:
    """Return the runs of an episode, oldest first."""
    rows = await connection.execute(select(run).where(run.c.episode == episode).order_by(run.c.id))
    return [from_row(row) for row in rows]


async def add_evidence(connection: AsyncConnection, current: Run, **evidence: Any) -> Run:
    """Add to the run's evidence in the ledger, which may be newer than that of `current`."""
    recorded_evidence = (await get(connection, current.id)).evidence
    await connection.execute(
        update(run).where(run.c.id == current.id).values(evidence={**recorded_evidence, **cut_values(evidence)})
    )
    return await get(connection, current.id)
