"""`/stacks/S`: one stack: its alerts and why no run helps them, its modes and bounds, duties, windows and freezes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.calendar.duties import DutyState, DutyStatus, read_duties
from remediator.console.alerts import FiringAlert, UnansweredAlerts, alerts_of, worst_first
from remediator.console.bound_rows import BoundRow, rows_of_run
from remediator.console.pages.acknowledge import InHand, read_in_hand
from remediator.console.pages.stacks import HELPING, counted_admissions
from remediator.console.rendering import CONSOLE, render
from remediator.console.routes import ConsoleRoutes
from remediator.console.times import zone_of
from remediator.console.visitor import Visitor
from remediator.context import Context
from remediator.escalation.advice import what_next
from remediator.ledger import deploys, effects, episodes, runs, switches
from remediator.ledger.deploys import Deploy
from remediator.ledger.effects import ItemCount
from remediator.ledger.episodes import Episode
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.ledger.switches import OpenBreaker
from remediator.model.errors import NoSuchTarget
from remediator.model.known_stacks import unknown_stack
from remediator.model.target import settings_of
from remediator.model.windows import in_window, occurrences
from remediator.reports.recurring import RecurringProblem, recurring_problems
from remediator.runs.planning import cooldown_of
from runbookd.inventory import Stack

MAX_EPISODES, MAX_ALERTS, MAX_RUNS, MAX_DUTIES, MAX_PROBLEMS = 100, 200, 10, 5, 10
AHEAD = timedelta(days=14)


@dataclass(frozen=True)
class OpenEpisode:
    """An open episode with its alerts and its last run. `plans_again_at` is when its cooldown is over."""

    episode: Episode
    alerts: Sequence[FiringAlert]
    run: Run | None
    bounds: Sequence[BoundRow]
    next_step: str
    plans_again_at: datetime | None
    hand: InHand

    @property
    def is_helped(self) -> bool:
        """Whether a run acts, or has acted with success."""
        return self.run is not None and self.run.state in HELPING


@dataclass(frozen=True)
class ModeRow:
    """A remediation of the stack with its mode, and its runs of the last hour."""

    name: str
    mode: str
    admitted: int
    limit: int
    only_in: str | None


@dataclass(frozen=True)
class Opening:
    """A window or a freeze: when it begins and ends."""

    name: str
    kind: str
    begins_at: datetime
    ends_at: datetime
    is_open: bool
    reason: str = ""


@dataclass(frozen=True)
class _Record:
    episodes: Sequence[Episode]
    last_runs: Mapping[int, Run]
    breakers: Sequence[OpenBreaker]
    admitted: Sequence[str]
    runs: Sequence[Run]
    items: Mapping[int, ItemCount]
    duties: Sequence[DutyStatus]
    deploy: Deploy | None
    hands: Mapping[int, InHand]
    problems: Sequence[RecurringProblem]


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the page."""
    context = routes.context

    async def show(request: web.Request, visitor: Visitor) -> web.Response:
        name = request.match_info["stack"]
        stack = context.inventory.stacks.get(name)
        if stack is None:
            raise NoSuchTarget(unknown_stack(name, context.inventory.stacks))
        now = context.clock.now()
        async with context.ledger.read() as connection:
            record = await _read(connection, context, name, now)
        unanswered = await request.app[CONSOLE].alertmanager.unanswered(record.episodes)
        return await render(
            request,
            visitor,
            "stack.html",
            command=f"runbookctl runs --stack {name}",
            name=name,
            stack=stack,
            zone=zone_of(stack),
            record=record,
            open_episodes=_open_episodes(context, record),
            unanswered=_own(unanswered, name),
            modes=list(_modes(stack, record)),
            openings=list(openings(stack, now)),
            duties=_duties(record, now),
            admitted=len(record.admitted),
            max_alerts=MAX_ALERTS,
            max_episodes=MAX_EPISODES,
        )

    routes.get("/stacks/{stack}", show)


async def _read(connection: AsyncConnection, context: Context, name: str, now: datetime) -> _Record:
    open_episodes = await episodes.newest_open(connection, MAX_EPISODES, name)
    newest = (await list_runs(connection, stack=name, limit=MAX_RUNS)).runs
    return _Record(
        open_episodes,
        await runs.last_of_episodes(connection, [each.id for each in open_episodes]),
        [each for each in await switches.open_breakers(connection) if each.stack == name],
        [each.remediation for each in await counted_admissions(connection, context, now) if each.stack == name],
        newest,
        await effects.count_items(connection, [each.id for each in newest]),
        [each for each in await read_duties(connection, context) if each.stack == name],
        (await deploys.newest_by_stack(connection)).get(name),
        await read_in_hand(connection, open_episodes, now),
        await recurring_problems(connection, context, name, most=MAX_PROBLEMS, is_frequent=True),
    )


def _open_episodes(context: Context, record: _Record) -> Sequence[OpenEpisode]:
    """Return the open episodes, first those that no run helps, each by its worst alert."""
    rows = [
        _open_episode(context, each, record.last_runs.get(each.id), record.hands[each.id]) for each in record.episodes
    ]
    return sorted(rows, key=lambda row: (row.is_helped, row.alerts[0].rank if row.alerts else 9))


def _open_episode(context: Context, episode: Episode, run: Run | None, hand: InHand) -> OpenEpisode:
    now, again_at = context.clock.now(), None
    if run is not None and run.finished_at is not None:
        again_at = run.finished_at + cooldown_of(context, episode.key)
    return OpenEpisode(
        episode,
        worst_first(alerts_of(episode)),
        run,
        [row for row in rows_of_run(run) if row.stops] if run is not None else (),
        what_next(run) if run is not None else "",
        again_at if again_at is not None and again_at > now else None,
        hand,
    )


def _own(unanswered: UnansweredAlerts, name: str) -> UnansweredAlerts:
    return replace(unanswered, alerts=worst_first([each for each in unanswered.alerts if each.stack == name]))


def _modes(stack: Stack, record: _Record) -> Iterator[ModeRow]:
    """Yield the remediations that the inventory names for this stack."""
    for name in stack.remediations:
        settings = settings_of(stack, name)
        yield ModeRow(
            name, str(settings.mode), record.admitted.count(name), settings.max_runs_per_hour, settings.only_in
        )


def openings(stack: Stack, now: datetime) -> Iterator[Opening]:
    """Yield the windows and freezes of the next days, each with its next time only, in the order of their times."""
    found = [
        Opening(name, "freeze", each.start, each.end, each.start <= now, each.reason)
        for name, each in stack.freezes.items()
        if each.end > now and each.start < now + AHEAD
    ]
    for name, window in stack.windows.items():
        span = next(occurrences(window, now, now + AHEAD), None)
        if span is not None:
            found.append(Opening(name, "window", *span, in_window(window, now)))
    yield from sorted(found, key=lambda each: each.begins_at)


def _duties(record: _Record, now: datetime) -> Sequence[tuple[DutyStatus, DutyState]]:
    """Return the duties that are due first."""
    by_time = sorted(record.duties, key=lambda each: each.due_at)[:MAX_DUTIES]
    return [(each, each.state(now)) for each in by_time]
