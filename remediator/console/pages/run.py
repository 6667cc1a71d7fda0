"""`/runs/ID`: one run as a timeline, from its alert to its proof; `/runs/ID/why`: what would be done now."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.console.act_words import items_noun
from remediator.console.alerts import alerts_of, worst_first
from remediator.console.bound_rows import rows_of_decision, rows_of_run
from remediator.console.outcome_words import EpisodeEnd, bound_sentences, channel_line, end_of, headline
from remediator.console.pages.acknowledge import read_in_hand
from remediator.console.rendering import render
from remediator.console.routes import ConsoleRoutes
from remediator.console.timeline import timeline_of
from remediator.console.times import zone_of
from remediator.console.visitor import Visitor
from remediator.context import Context
from remediator.escalation.advice import what_next
from remediator.ledger import episodes, switches
from remediator.ledger.run_story import MAX_ITEMS, Story, read_story
from remediator.ledger.runs import Run
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import WrongState
from remediator.model.logfmt import format_evidence
from remediator.model.remediation import Undo
from remediator.model.target import ResolvedTarget, resolve_target
from remediator.reports.recurring import recurring_problem_of
from remediator.runs.undos import require_undoable
from remediator.server.dry_run import preview_episode
from remediator.server.operator_api import find_run

_SHOWN_ELSEWHERE = frozenset({"bounds", "judged", "requested", "plan", "proof", "error", "stopped"})


class Reading(NamedTuple):
    """A value of the verifying reading, before and after."""

    name: str
    before: str
    after: str


def add_routes(routes: ConsoleRoutes) -> None:
    """Add both pages."""
    context = routes.context

    async def show(request: web.Request, visitor: Visitor) -> web.Response:
        async with context.ledger.read() as connection:
            run = await find_run(connection, request)
            episode = await episodes.get(connection, run.episode)
            story = await read_story(connection, run)
            end = end_of(run, episode, story)
            advice = await _advice(connection, run, end)
            problem = await recurring_problem_of(connection, context, run)
            can_be_undone = await _can_be_undone(connection, context, run)
            hand = (await read_in_hand(connection, [episode], context.clock.now()))[episode.id]
        return await render(
            request,
            visitor,
            "run.html",
            command=f"runbookctl run {run.id}",
            run=run,
            episode=episode,
            story=story,
            siblings=story.siblings(run.id),
            alerts=worst_first(alerts_of(episode)),
            events=timeline_of(run, episode, story, context.clock.now()),
            bounds=rows_of_run(run),
            readings=readings_of(run),
            evidence={name: value for name, value in run.evidence.items() if name not in _SHOWN_ELSEWHERE and value},
            headline=headline(run, story.counts),
            found_noun=items_noun(run.key, run.found or 0, run.undoes),
            end=end,
            next_step=advice,
            problem=problem,
            undo=_undo_of(context, run),
            can_be_undone=can_be_undone,
            hand=hand,
            max_items=MAX_ITEMS,
            zone=zone_of(context.inventory.stacks.get(run.stack)),
            markdown=_markdown(run, story, end, advice, str(request.url)),
        )

    async def show_why(request: web.Request, visitor: Visitor) -> web.Response:
        async with context.ledger.read() as connection:
            run = await find_run(connection, request)
            episode = await episodes.get(connection, run.episode)
            end = end_of(run, episode, await read_story(connection, run))
            advice = await _advice(connection, run, end)
        preview = await preview_episode(context, EpisodeKey(run.stack, run.remediation, run.target))
        return await render(
            request,
            visitor,
            "why.html",
            command=f"runbookctl why {run.id}",
            run=run,
            bounds=rows_of_run(run),
            end=end,
            next_step=advice,
            preview=preview,
            now_rows=rows_of_decision(preview.decision, preview.facts) if preview.decision and preview.facts else (),
            max_items=MAX_ITEMS,
            zone=zone_of(context.inventory.stacks.get(run.stack)),
        )

    routes.get("/runs/{id}", show)
    routes.get("/runs/{id}/why", show_why)


def readings_of(run: Run) -> Sequence[Reading]:
    """Return the values of the plan's reading beside those of the verification; texts where one of them is none."""
    before, after = (dict(_values(run.evidence.get(name))) for name in ("plan", "proof"))
    is_clean = after.pop("clean", None)
    names = dict.fromkeys([*before, *after])
    found = [Reading(name, _text(before.get(name)), _text(after.get(name))) for name in names]
    rows = [each for each in found if each.before or each.after]
    if is_clean is None:
        return rows
    return [Reading("to be touched", str(run.found or 0), "nothing" if is_clean else "not yet clean"), *rows]


def _values(part: Any) -> Mapping[str, Any]:
    if isinstance(part, Mapping):
        return part
    return {} if part is None else {"reading": part}  # too large, so the ledger keeps its beginning as a text


def _text(value: Any) -> str:
    return "" if value is None else format_evidence(value)


def _undo_of(context: Context, run: Run) -> Undo | None:
    """Return whether and how the effects can be undone; None if the target no longer exists."""
    match resolve_target(context.inventory, context.remediations, run.key):
        case ResolvedTarget() as target:
            return target.declaration.undo
        case _:
            return None


async def _can_be_undone(connection: AsyncConnection, context: Context, run: Run) -> bool:
    """Return whether an operator can start a run that undoes this one."""
    try:
        await require_undoable(connection, context, run.id)
    except WrongState:
        return False
    return True


async def _advice(connection: AsyncConnection, run: Run, end: EpisodeEnd | None) -> str:
    """Return what comes next; of an episode that is over only what stays: an open breaker."""
    if end is None:
        return what_next(run)
    reason = await switches.breaker_reason(connection, run.key)
    if reason is None:
        return ""
    close = shlex.join(["runbookctl", "breaker", "close", run.remediation, run.target])
    return f"The breaker is open ({reason}). Check the target, then close it: {close}"


def _markdown(run: Run, story: Story, end: EpisodeEnd | None, advice: str, address: str) -> str:
    over = [f"Over since {end.at:%H:%M:%S} UTC: {end.sentence}"] if end else []
    parts = [*over, headline(run, story.counts), *bound_sentences(rows_of_run(run)), advice]
    return channel_line(run, address, [each for each in parts if each])
