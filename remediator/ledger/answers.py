"""The answers that requests for an approval got: from operators, or none before they expired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.run_row import Run, from_row
from remediator.ledger.schema import ANSWERS, audit, run
from remediator.model.run_state import RunState

ANSWERED = "answered"  # the row with the reason of a rejection; the next one is the state
MAX_ROWS = 200  # of the trail per page: some are of runs that asked nobody
_EVENTS_OF_A_REQUEST = (RunState.AWAITING_APPROVAL, ANSWERED)


@dataclass(frozen=True)
class Answer:
    """An answer to the request of `run`. `event` is approved, rejected or expired; the latter came from nobody.

    `id` is its row in the audit trail. `channel` is api or console, and empty in ledgers of earlier releases.
    """

    id: int
    run: Run
    event: str
    at: datetime
    operator: str
    asked_at: datetime
    channel: str
    reason: str


@dataclass(frozen=True)
class AnswerPage:
    """A page of answers, newest first; `next` is the `before` of the next page, or None at the end."""

    answers: Sequence[Answer]
    next: int | None


async def list_answers(connection: AsyncConnection, *, limit: int, before: int | None = None) -> AnswerPage:
    """Return at most `limit` answers that are older than the row `before`, newest first."""
    query = select(audit).where(text(ANSWERS)).order_by(audit.c.id.desc()).limit(MAX_ROWS)
    rows = list(await connection.execute(query if before is None else query.where(audit.c.id < before)))
    runs = await _runs_by_number(connection, {row.run for row in rows if row.run is not None})
    requests = await _requests(connection, runs)
    answers = [
        answer for row in rows if (answer := _answer(row, runs.get(row.run), requests.get(row.run, {}))) is not None
    ]
    shown = answers[:limit]
    is_end = len(answers) <= limit and len(rows) < MAX_ROWS
    return AnswerPage(shown, None if is_end else shown[-1].id if len(answers) > limit else rows[-1].id)


async def _runs_by_number(connection: AsyncConnection, numbers: set[int]) -> Mapping[int, Run]:
    rows = await connection.execute(select(run).where(run.c.id.in_(numbers)))
    return {row.id: from_row(row) for row in rows}


async def _requests(connection: AsyncConnection, numbers: Mapping[int, Run]) -> Mapping[int, Mapping[str, Any]]:
    """Return, per run, the newest rows of the trail that tell when it asked and what a rejection gave as reason."""
    query = select(audit).where(audit.c.run.in_(numbers), audit.c.event.in_(_EVENTS_OF_A_REQUEST))
    requests: dict[int, dict[str, Any]] = {}
    for row in sorted(await connection.execute(query), key=lambda row: row.id):
        requests.setdefault(row.run, {})[row.event] = row
    return requests


def _answer(row: Any, answered: Run | None, request: Mapping[str, Any]) -> Answer | None:
    """Return the answer in this row; None if its run asked nobody, or retention has deleted it."""
    asked = request.get(RunState.AWAITING_APPROVAL)
    is_by_nobody = row.event == RunState.REJECTED and row.actor == "remediator"  # the same items as before
    if answered is None or asked is None or asked.id > row.id or is_by_nobody:
        return None
    detail = _detail(row, request)
    operator = "" if row.event == RunState.EXPIRED else row.actor
    channel, reason = detail.get("channel", ""), detail.get("reason", "")
    return Answer(row.id, answered, row.event, row.at, operator, asked.at, channel, reason)


def _detail(row: Any, request: Mapping[str, Any]) -> Mapping[str, Any]:
    if row.event == RunState.REJECTED:
        return request[ANSWERED].detail if ANSWERED in request else {}
    return row.detail if row.event == "approved" else {}
