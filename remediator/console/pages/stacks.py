"""`/`: every stack with its worst alert, what waits for an operator, and what its bounds still allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.bounds.facts import HOUR
from remediator.console.alerts import FiringAlert, alerts_of, worst_first
from remediator.console.bound_rows import BoundRow, rows_of_run
from remediator.console.pages.acknowledge import InHand, Unacknowledged, read_in_hand, unacknowledged
from remediator.console.rendering import CONSOLE, render
from remediator.console.routes import ConsoleRoutes
from remediator.console.times import zone_of
from remediator.console.visitor import Visitor
from remediator.context import Context
from remediator.ledger import episodes, outbox, run_counts, run_history, runs, switches
from remediator.ledger.episodes import Episode
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.model.run_state import ACTIVE, RunState
from remediator.model.windows import describe_freeze
from runbookd.inventory import Stack

MAX_EPISODES = 500  # read for the page; a storm may have more
MAX_WORST = 10  # episodes of a stack among which one without help is shown first
HELPING = frozenset({*ACTIVE, RunState.SUCCEEDED})  # a run in one of these states helps, or has helped


@dataclass(frozen=True)
class StackSummary:
    """One stack on the page."""

    name: str
    zone: ZoneInfo | None
    alerts: Sequence[FiringAlert]
    open_episodes: int
    counts: Mapping[RunState, int]
    breakers: int
    admitted: int
    max_runs_per_hour: int
    freeze: str | None
    tried: Run | None
    """The newest run about the worst alert; while none fires, that of the stack."""
    unacknowledged: Unacknowledged | None

    @property
    def stopped_by(self) -> Sequence[BoundRow]:
        """The bounds that stopped that run."""
        return [row for row in rows_of_run(self.tried) if row.stops] if self.tried is not None else ()

    @property
    def worst(self) -> FiringAlert | None:
        """The alert to look at first."""
        return self.alerts[0] if self.alerts else None

    @property
    def awaiting(self) -> int:
        """The runs that wait for an operator's yes."""
        return self.counts.get(RunState.AWAITING_APPROVAL, 0)

    @property
    def deferred(self) -> int:
        """The runs that wait for a bound."""
        return self.counts.get(RunState.DEFERRED, 0)

    @property
    def under_way(self) -> int:
        """The runs that hold their target."""
        return sum(self.counts.get(state, 0) for state in ACTIVE)

    @property
    def urgency(self) -> tuple[bool, int, bool, str]:
        """The order of the page: what waits for an operator first, then the worst alert."""
        rank = self.worst.rank if self.worst else 9
        return not self.awaiting, rank, not self.breakers, self.name


@dataclass(frozen=True)
class _Record:
    """The part of the ledger that the page shows."""

    episodes: Sequence[Episode]
    open_counts: Mapping[str, int]
    run_counts: Mapping[tuple[str, RunState], int]
    breakers: Sequence[switches.OpenBreaker]
    admissions: Sequence[run_history.Reservation]
    messages_unsent: int
    last_of_episodes: Mapping[int, Run]
    last_of_stacks: Mapping[str, Run]
    hands: Mapping[int, InHand]

    def is_helped(self, alert: FiringAlert) -> bool:
        """Return whether a run acts on the alert, or has acted with success."""
        run = self.last_of_episodes.get(alert.episode) if alert.episode is not None else None
        return run is not None and run.state in HELPING

    def tried(self, stack: str, worst: FiringAlert | None) -> Run | None:
        """Return the run that the page shows for a stack."""
        if worst is None:
            return self.last_of_stacks.get(stack)
        return self.last_of_episodes.get(worst.episode) if worst.episode is not None else None


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the page."""
    context = routes.context

    async def show(request: web.Request, visitor: Visitor) -> web.Response:
        async with context.ledger.read() as connection:
            record = await _read(connection, context)
        unanswered = await request.app[CONSOLE].alertmanager.unanswered(record.episodes)
        summaries = sorted(_summaries(context, record, unanswered.alerts), key=lambda each: each.urgency)
        strays = [each for each in unanswered.alerts if each.stack not in context.inventory.stacks]
        return await render(
            request,
            visitor,
            "stacks.html",
            command="runbookctl status",
            summaries=summaries,
            strays=worst_first(strays),
            alertmanager_error=unanswered.error,
            knows_all_alerts=unanswered.is_complete,
            admitted=len(record.admissions),
            limit=context.inventory.limits.max_runs_per_hour,
            messages_unsent=record.messages_unsent,
            unknown_episodes=sum(
                number for name, number in record.open_counts.items() if name not in context.inventory.stacks
            ),
        )

    routes.get("/", show, nav="Stacks")


async def _read(connection: AsyncConnection, context: Context) -> _Record:
    open_counts: dict[str, int] = {}
    for stack, _, number in await episodes.count_open(connection):
        open_counts[stack] = open_counts.get(stack, 0) + number
    open_episodes = await episodes.newest_open(connection, MAX_EPISODES)
    return _Record(
        open_episodes,
        open_counts,
        await run_counts.open_by_stack(connection),
        await switches.open_breakers(connection),
        await counted_admissions(connection, context, context.clock.now()),
        await outbox.count_unsent(connection),
        await runs.last_of_episodes(connection, _worst_episodes(context, open_episodes)),
        {
            name: each
            for name in context.inventory.stacks
            for each in (await list_runs(connection, stack=name, limit=1)).runs
        },
        await read_in_hand(connection, open_episodes, context.clock.now()),
    )


def _worst_episodes(context: Context, open_episodes: Sequence[Episode]) -> Sequence[int]:
    """Return the episodes of the worst alerts of each stack, whose runs the page may show."""
    found: list[int] = []
    for name in context.inventory.stacks:
        alerts = worst_first([alert for each in open_episodes if each.stack == name for alert in alerts_of(each)])
        found += list(dict.fromkeys(each.episode for each in alerts if each.episode is not None))[:MAX_WORST]
    return found


async def counted_admissions(
    connection: AsyncConnection, context: Context, now: datetime
) -> Sequence[run_history.Reservation]:
    """Return the admissions of the last hour that the bound `rate` counts."""
    reading = {name for name, remediation in context.remediations.items() if remediation.reads_only}
    recent = await run_history.admitted_since(connection, now - HOUR, excluded_run=0)
    return [each for each in recent if each.remediation not in reading]


def _summaries(context: Context, record: _Record, unanswered: Sequence[FiringAlert]) -> Sequence[StackSummary]:
    return [
        _summary(name, stack, record, unanswered, context.clock.now())
        for name, stack in context.inventory.stacks.items()
    ]


def _summary(
    name: str, stack: Stack, record: _Record, unanswered: Sequence[FiringAlert], now: datetime
) -> StackSummary:
    episodes_here = [each for each in record.episodes if each.stack == name]
    own = [alert for each in episodes_here for alert in alerts_of(each)]
    own += [each for each in unanswered if each.stack == name]
    alerts = sorted(worst_first(own), key=lambda each: (each.rank, record.is_helped(each)))
    return StackSummary(
        name,
        zone_of(stack),
        alerts,
        record.open_counts.get(name, 0),
        {state: number for (each, state), number in record.run_counts.items() if each == name},
        sum(each.stack == name for each in record.breakers),
        sum(each.stack == name for each in record.admissions),
        stack.limits.max_runs_per_hour,
        describe_freeze(stack.freezes.items(), now),
        record.tried(name, alerts[0] if alerts else None),
        unacknowledged(episodes_here, record.hands),
    )
