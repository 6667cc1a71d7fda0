"""Plays a history through a simulated remediator, and returns every decision that it made."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import itemgetter

from sqlalchemy import select

from remediator.ledger.episodes import Episode
from remediator.ledger.runs import Run, from_row
from remediator.ledger.schema import audit, storm
from remediator.ledger.schema import run as run_table
from remediator.model.run_state import RunState
from remediator.simulation.simulation import Simulation, simulation
from remediator.simulation.targets import SimulatedTargets
from remediator.simulation.virtual_time import run_virtually
from runbookctl.replay.history import History
from runbookd.inventory import Inventory

SETTLE = timedelta(minutes=5)  # after the last event, for runs under way
KEPT = ("plan",)  # of the evidence of a run
DECISIONS = frozenset(RunState) - {RunState.PLANNED, RunState.PRECHECKED}


@dataclass(frozen=True)
class Decision:
    """A state that a run reached, when and why."""

    at: datetime
    run: int
    state: RunState
    reason: str


@dataclass(frozen=True)
class Played:
    """A past as the remediator would have lived it: its runs, episodes and decisions, oldest first."""

    runs: Sequence[Run]
    episodes: Sequence[Episode]
    decisions: Sequence[Decision]
    storms: Sequence[tuple[datetime, str]]


def play(inventory: Inventory, history: History, targets: SimulatedTargets) -> Played:
    """Play `history` under `inventory`, with plans from `targets`.

    Raises:
        SimulationFailed: the remediator's own code has failed.
    """
    return run_virtually(_play(inventory, history, targets))


async def _play(inventory: Inventory, history: History, targets: SimulatedTargets) -> Played:
    of_alerts = not history.deliveries
    async with simulation(
        inventory, targets, history.since, with_messages=False, reads_alertmanager=of_alerts
    ) as simulated:
        await (_play_alerts if of_alerts else _play_deliveries)(simulated, history)
        await simulated.advance_to(history.until)
        await simulated.advance(SETTLE)
        runs = await _runs(simulated, history.until)
        decisions = await _decisions(simulated, {run.id for run in runs})
        return Played(runs, await simulated.episodes(), decisions, await _storms(simulated))


async def _play_alerts(simulated: Simulation, history: History) -> None:
    for moment, begins, labels in sorted(_changes(history), key=itemgetter(0, 1)):
        await simulated.advance_to(moment)
        if begins:
            simulated.alertmanager.fire(labels)
        else:
            simulated.alertmanager.resolve(labels)


def _changes(history: History) -> Iterator[tuple[datetime, bool, Mapping[str, str]]]:
    """Yield each begin and end of an alert; ends come first where both are at one moment."""
    for alert in history.alerts:
        for span in alert.spans:
            yield span.start, True, alert.labels
            if span.end is not None:
                yield span.end, False, alert.labels


async def _play_deliveries(simulated: Simulation, history: History) -> None:
    for delivery in history.deliveries:
        await simulated.advance_to(delivery.received_at)
        await simulated.deliver(delivery.body)


async def _runs(simulated: Simulation, until: datetime) -> Sequence[Run]:
    """Return the runs that began until then: a later one is none of this past."""
    query = select(run_table).where(run_table.c.created_at <= until).order_by(run_table.c.id)
    async with simulated.ledger.read() as connection:
        return [_without_texts(from_row(row)) for row in await connection.execute(query)]


def _without_texts(run: Run) -> Run:
    """Return the run without what it was judged by: most of the memory of a month, and no report shows it."""
    return replace(run, settings=None, evidence={name: run.evidence[name] for name in KEPT if name in run.evidence})


async def _decisions(simulated: Simulation, runs: Collection[int]) -> Sequence[Decision]:
    columns = audit.c.at, audit.c.run, audit.c.event, audit.c.detail
    query = select(*columns).where(audit.c.run.is_not(None), audit.c.event.in_([str(state) for state in DECISIONS]))
    async with simulated.ledger.read() as connection:
        rows = await connection.execute(query.order_by(audit.c.id))
        found = [Decision(row.at, row.run, RunState(row.event), row.detail.get("reason", "")) for row in rows]
        return [each for each in found if each.run in runs]


async def _storms(simulated: Simulation) -> Sequence[tuple[datetime, str]]:
    async with simulated.ledger.read() as connection:
        rows = await connection.execute(select(storm.c.seen_at, storm.c.detail).order_by(storm.c.id))
        return [(row.seen_at, row.detail) for row in rows]
