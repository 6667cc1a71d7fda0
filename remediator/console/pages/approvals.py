"""`/approvals`: what awaits an operator's yes, and what operators have answered; and the page of each request."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from aiohttp import web

from remediator.console.act_words import act_words, short_target
from remediator.console.pages.acknowledge import read_in_hand, unacknowledged
from remediator.console.queries import parse_before
from remediator.console.refused_act import refused_act
from remediator.console.rendering import render
from remediator.console.routes import ConsoleRoutes
from remediator.console.times import zone_of
from remediator.console.visitor import Visitor
from remediator.context import Context
from remediator.ledger import effects, episodes, runs
from remediator.ledger.answers import Answer, list_answers
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.model.errors import NoSuchRun, WrongState
from remediator.model.run_state import RunState
from remediator.model.target import ResolvedTarget, resolve_target
from remediator.runs.approval import approve, reject
from remediator.server.answer_preview import preview_answer
from remediator.server.operator_api import parse_run_id
from runbookd.inventory import own_approvals

MAX_AWAITING = 50
MAX_EPISODES = 500  # read for the hint at alerts without an operator; a storm may have more
MAX_ANSWERS = 20
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class AwaitingRun:
    """A run that awaits an answer, with the words of its button."""

    run: Run
    words: str


@dataclass(frozen=True)
class AnsweredRun:
    """An answered request, with what was asked and how long it waited."""

    answer: Answer
    words: str
    waited: timedelta


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the inbox, the page of each request, and the two answers."""
    pages = _Pages(routes)
    routes.get("/approvals", pages.inbox, nav="Approvals")
    routes.get("/approvals/{id}", pages.review)
    routes.post("/approvals/{id}/approve", pages.approve)
    routes.post("/approvals/{id}/reject", pages.reject)


class _Pages:
    def __init__(self, routes: ConsoleRoutes) -> None:
        self._context = routes.context
        self._wake = routes.wake

    async def inbox(self, request: web.Request, visitor: Visitor) -> web.Response:
        before = parse_before(request)
        async with self._context.ledger.read() as connection:
            waiting = await list_runs(connection, limit=MAX_AWAITING, state=RunState.AWAITING_APPROVAL)
            history = await list_answers(connection, limit=MAX_ANSWERS, before=before)
            shown = [*waiting.runs, *(each.run for each in history.answers)]
            counts = await effects.count_items(connection, [run.id for run in shown])
            open_episodes = await episodes.newest_open(connection, MAX_EPISODES)
            hands = await read_in_hand(connection, open_episodes, self._context.clock.now())
        awaiting = [AwaitingRun(run, act_words(run.key, counts[run.id].total, run.undoes)) for run in waiting.runs]
        values: dict[str, Any] = {
            "awaiting": sorted(awaiting, key=lambda each: each.run.expires_at or each.run.created_at),
            "is_cut": waiting.next is not None,
            "history": [_answered(each, counts[each.run.id].total) for each in history.answers],
            "next": history.next,
            "before": before,
            "short": short_target,
            "unacknowledged": unacknowledged(open_episodes, hands),
        }
        return await render(request, visitor, "approvals.html", command="runbookctl status", **values)

    async def review(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Show the request; one that was answered leads to its run."""
        identifier = parse_run_id(request)
        async with self._context.ledger.read() as connection:
            run = await runs.get_or_none(connection, identifier)
            if run is None:
                raise NoSuchRun(f"there is no run {identifier}")
            if run.state is not RunState.AWAITING_APPROVAL:
                raise web.HTTPSeeOther(f"/runs/{run.id}")
            items = await effects.items(connection, run.id)
            episode = await episodes.get(connection, run.episode)
        stack = self._context.inventory.stacks.get(run.stack)
        values: dict[str, Any] = {
            "run": run,
            "items": items,
            "episode": episode,
            "words": act_words(run.key, len(items), run.undoes),
            "preview": await preview_answer(self._context, run, items, visitor.operator),
            "undo": _undo_sentence(self._context, run),
            "zone": zone_of(stack),
            "must_be_another": run.requested_by == visitor.operator
            and not own_approvals(self._context.inventory, run.stack),
            "has_expired": _has_expired(run, self._context.clock.now()),
        }
        return await render(request, visitor, "approval.html", command=f"runbookctl approve {run.id}", **values)

    async def approve(self, request: web.Request, visitor: Visitor) -> web.StreamResponse:
        identifier, form = parse_run_id(request), await request.post()
        try:
            run = await approve(
                self._context,
                identifier,
                visitor.operator,
                channel="console",
                plan_hash=str(form.get("plan_hash", "")),
            )
        except WrongState as error:
            return await refused_act(request, visitor, error, "Your yes came too late", identifier)
        log.info("approved", operator=visitor.operator, run=run.id, channel="console")
        self._wake()
        raise web.HTTPSeeOther(f"/runs/{run.id}")

    async def reject(self, request: web.Request, visitor: Visitor) -> web.StreamResponse:
        identifier, form = parse_run_id(request), await request.post()
        reason = str(form.get("reason", ""))
        try:
            run = await reject(self._context, identifier, visitor.operator, reason=reason, channel="console")
        except WrongState as error:
            return await refused_act(request, visitor, error, "Your no came too late", identifier, typed=reason)
        log.info("rejected", operator=visitor.operator, run=run.id, channel="console")
        raise web.HTTPSeeOther(f"/runs/{run.id}")


def _answered(answer: Answer, count: int) -> AnsweredRun:
    run = answer.run
    return AnsweredRun(answer, act_words(run.key, count, run.undoes), answer.at - answer.asked_at)


def _has_expired(run: Run, now: datetime) -> bool:
    return run.expires_at is not None and run.expires_at <= now


def _undo_sentence(context: Context, run: Run) -> str:
    match resolve_target(context.inventory, context.remediations, run.key):
        case ResolvedTarget(declaration=declaration) if run.undoes is None:
            return declaration.undo.sentence
        case _:
            return ""
