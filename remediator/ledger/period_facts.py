"""The runs, episodes and acts of operators in a period, for its report. Every query is bounded.

Moments are whole microseconds here, as the ledger stores them: a report compares thousands of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Text, cast, exists, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import acknowledgement, audit, breaker, deploy, duty_done, episode, item, pause, run
from remediator.model.remediation import ItemState

MAX_RUNS = 5_000  # about as many as the default limits admit in a week
MAX_EPISODES = 5_000
MAX_ITEM_RUNS = 1_000  # runs whose items are counted, the newest ones
MAX_WAITS = 1_000  # runs whose waits are read from the trail, the newest ones
MAX_ACTS = 1_000  # per kind of act


class EndedRun(NamedTuple):
    """A run that ended in the period, with the start of its episode. `settings` is the text of their JSON."""

    id: int
    episode: int
    stack: str
    remediation: str
    target: str
    state: str
    reason: str
    trigger: str
    requested_by: str | None
    approved_by: str | None
    undoes: int | None
    created_at: int
    admitted_at: int | None
    deferred_at: int | None
    finished_at: int
    settings: str | None
    firing_since: int


class EndedEpisode(NamedTuple):
    """An episode of alerts that has ended.

    `was_acted_on`: a run that touches something was admitted for it; `was_in_hand`: an operator acknowledged it.
    """

    id: int
    stack: str
    remediation: str
    target: str
    firing_since: int
    ended_at: int
    end_reason: str
    was_acted_on: bool
    was_in_hand: bool


class WaitEvent(NamedTuple):
    """A row of the trail about a run that waited."""

    run: int
    event: str
    at: int
    actor: str
    reason: str


@dataclass(frozen=True)
class OperatorAct:
    """An act of an operator that the ledger has, apart from those on runs."""

    at: datetime
    who: str
    kind: str
    stack: str | None
    about: str
    note: str


async def covered_since(connection: AsyncConnection, since: datetime, until: datetime) -> datetime:
    """Return since when at most MAX_RUNS runs and MAX_EPISODES episodes of all stacks have ended; `since` at best."""
    found = [since]
    for ended_at, limit in ((run.c.finished_at, MAX_RUNS), (episode.c.ended_at, MAX_EPISODES)):
        query = select(ended_at).where(ended_at >= since, ended_at < until).order_by(ended_at.desc())
        oldest = (await connection.execute(query.offset(limit - 1).limit(1))).scalar_one_or_none()
        found += [oldest] if oldest is not None else []
    return max(found)


async def known_since(connection: AsyncConnection) -> datetime | None:
    """Return the moment of the ledger's first entry; None if it has none."""
    first: datetime | None = (
        await connection.execute(select(audit.c.at).order_by(audit.c.id).limit(1))
    ).scalar_one_or_none()
    return first


async def ended_runs(
    connection: AsyncConnection, since: datetime, until: datetime, stack: str | None
) -> Sequence[EndedRun]:
    """Return the runs that ended in the period, oldest first; call `covered_since` before.

    The stack is chosen afterwards: SQLite would else read by the index of stacks, all runs of this one.
    """
    columns = [_column(run.c[name]) for name in EndedRun._fields[:-2]]
    settings, firing_since = cast(run.c.settings, Text), _column(episode.c.firing_since)
    query = select(*columns, settings, firing_since).join(episode, episode.c.id == run.c.episode)
    query = query.where(run.c.finished_at >= since, run.c.finished_at < until)
    found = [EndedRun._make(row) for row in await connection.execute(query.order_by(run.c.finished_at))]
    return [each for each in found if stack in (None, each.stack)]


async def ended_episodes(
    connection: AsyncConnection, since: datetime, until: datetime, stack: str | None, reading: Collection[str]
) -> Sequence[EndedEpisode]:
    """Return the episodes of alerts that ended, oldest first: the newest MAX_EPISODES of all stacks.

    Runs of the remediations in `reading` touch nothing.
    """
    names = ("id", "stack", "remediation", "target", "firing_since", "ended_at", "end_reason")
    newest = select(*(episode.c[name] for name in names)).where(episode.c.ended_at >= since, episode.c.ended_at < until)
    some = newest.order_by(episode.c.ended_at.desc()).limit(MAX_EPISODES).subquery()
    was_acted_on = exists().where(
        run.c.episode == some.c.id, run.c.admitted_at.is_not(None), run.c.remediation.not_in(reading)
    )
    was_in_hand = exists().where(acknowledgement.c.episode == some.c.id)
    query = select(*(_column(some.c[name]) for name in names), was_acted_on, was_in_hand)
    query = query.where(some.c.end_reason != "finished").order_by(some.c.ended_at)
    found = [EndedEpisode._make(row) for row in await connection.execute(query)]
    return [each for each in found if stack in (None, each.stack)]


async def item_outcomes(connection: AsyncConnection, runs: Sequence[int]) -> Mapping[int, Mapping[ItemState, int]]:
    """Count the items of the newest MAX_ITEM_RUNS of these runs, by run and state."""
    newest = sorted(runs)[-MAX_ITEM_RUNS:]
    query = select(item.c.run, item.c.state, func.count()).where(item.c.run.in_(newest))
    counts: dict[int, dict[ItemState, int]] = {}
    for number, state, count in await connection.execute(query.group_by(item.c.run, item.c.state)):
        counts.setdefault(number, {})[ItemState(state)] = count
    return counts


async def evidence_of(connection: AsyncConnection, runs: Sequence[int]) -> Mapping[int, Mapping[str, Any]]:
    """Return the evidence of these few runs."""
    rows = await connection.execute(select(run.c.id, run.c.evidence).where(run.c.id.in_(runs)))
    return {row.id: row.evidence for row in rows}


async def wait_events(connection: AsyncConnection, runs: Sequence[int]) -> Mapping[int, Sequence[WaitEvent]]:
    """Return the trail of the newest MAX_WAITS of these runs, oldest first."""
    newest = sorted(runs)[-MAX_WAITS:]
    reason = audit.c.detail["reason"].as_string()
    query = select(audit.c.run, audit.c.event, _column(audit.c.at), audit.c.actor, reason)
    found: dict[int, list[WaitEvent]] = {}
    for row in await connection.execute(query.where(audit.c.run.in_(newest)).order_by(audit.c.id)):
        found.setdefault(row.run, []).append(WaitEvent(*row[:4], row[4] or ""))
    return found


async def acts_of_operators(
    connection: AsyncConnection, since: datetime, until: datetime, stack: str | None
) -> Sequence[OperatorAct]:
    """Return the acknowledgements, pauses, closed breakers, deploys and duties of the period, oldest first."""
    parts = (_acknowledged, _paused, _resumed, _closed_breakers, _deployed, _done_duties)
    acts = [act for part in parts for act in await part(connection, since, until)]
    return sorted((act for act in acts if stack is None or act.stack in (None, stack)), key=lambda act: act.at)


async def _acknowledged(connection: AsyncConnection, since: datetime, until: datetime) -> Sequence[OperatorAct]:
    table = acknowledgement.c
    query = select(table.at, table.operator, table.note, episode.c.stack, episode.c.target)
    query = query.join(episode, episode.c.id == table.episode).where(table.at >= since, table.at < until)
    rows = await connection.execute(query.order_by(table.id.desc()).limit(MAX_ACTS))
    return [OperatorAct(row.at, row.operator, "acknowledged", row.stack, row.target, row.note) for row in rows]


async def _paused(connection: AsyncConnection, since: datetime, until: datetime) -> Sequence[OperatorAct]:
    query = select(pause).where(pause.c.begun_at >= since, pause.c.begun_at < until)
    rows = await connection.execute(query.order_by(pause.c.id.desc()).limit(MAX_ACTS))
    return [OperatorAct(row.begun_at, row.begun_by, "paused", row.stack, _scope(row.stack), row.reason) for row in rows]


async def _resumed(connection: AsyncConnection, since: datetime, until: datetime) -> Sequence[OperatorAct]:
    query = select(pause).where(pause.c.ended_at >= since, pause.c.ended_at < until, pause.c.ended_by.is_not(None))
    rows = await connection.execute(query.order_by(pause.c.id.desc()).limit(MAX_ACTS))
    return [OperatorAct(row.ended_at, row.ended_by, "resumed", row.stack, _scope(row.stack), "") for row in rows]


async def _closed_breakers(connection: AsyncConnection, since: datetime, until: datetime) -> Sequence[OperatorAct]:
    query = select(breaker).where(breaker.c.closed_at >= since, breaker.c.closed_at < until)
    rows = await connection.execute(query.order_by(breaker.c.id.desc()).limit(MAX_ACTS))
    return [
        OperatorAct(
            row.closed_at,
            row.closed_by or "",
            "closed a breaker",
            row.stack,
            f"{row.remediation} on {row.target}",
            row.reason,
        )
        for row in rows
    ]


async def _deployed(connection: AsyncConnection, since: datetime, until: datetime) -> Sequence[OperatorAct]:
    query = select(deploy).where(deploy.c.begun_at >= since, deploy.c.begun_at < until)
    rows = await connection.execute(query.order_by(deploy.c.id.desc()).limit(MAX_ACTS))
    return [OperatorAct(row.begun_at, row.begun_by, "deployed", row.stack, row.stack, row.version) for row in rows]


async def _done_duties(connection: AsyncConnection, since: datetime, until: datetime) -> Sequence[OperatorAct]:
    query = select(duty_done).where(duty_done.c.recorded_at >= since, duty_done.c.recorded_at < until)
    rows = await connection.execute(query.order_by(duty_done.c.id.desc()).limit(MAX_ACTS))
    return [OperatorAct(row.recorded_at, row.recorded_by, "did a duty", row.stack, row.duty, row.note) for row in rows]


def _scope(stack: str | None) -> str:
    return stack or "all stacks"


def _column(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the column; a moment as the number that the ledger stores."""
    return type_coerce(column, BigInteger) if column.name.endswith(("_at", "_since")) or column.name == "at" else column
