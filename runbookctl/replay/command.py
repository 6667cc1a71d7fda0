"""The steps of `replay`: read the settings and the past, play it once or twice, and summarize."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from remediator.simulation.faults import SimulationFailed
from runbookctl.errors import RemediatorRefused, WrongUsage
from runbookctl.replay.comparison import changed_episodes
from runbookctl.replay.deliveries_file import read_export
from runbookctl.replay.history import History
from runbookctl.replay.moments import Period, parse_period
from runbookctl.replay.past_alerts import AlertMapping, left_out_notes, parse_mapping, read_alerts, read_coverage
from runbookctl.replay.play import Played, play
from runbookctl.replay.prometheus import Access, open_prometheus
from runbookctl.replay.report import ReplayReport, Source
from runbookctl.replay.settings import ReplayedMode, as_replayed, load_settings, plan_notes
from runbookctl.replay.sizes import PastTargets, Sizes, read_sizes
from runbookctl.replay.summary import summarize
from runbookctl.replay.thresholds import threshold_notes
from runbookd.inventory import Inventory

UNKNOWN_PAST = "silences, inhibitions, pauses, deploys and what was down around a target in the past are not known"

BLOCKED_BY_REPLAYED = "a replay sees only the alerts that it replays, so others blocked nothing"
BLOCKED_BY_ALL = (
    "deliveries do not tell which other alerts fired, so each run is deferred by alertmanager_unreadable;"
    " set it to [] with --set to see what it would have done"
)


@dataclass(frozen=True)
class Options:
    """The options of the command."""

    access: Access | None
    deliveries: Path | None
    since: str
    until: str | None
    step: str
    config_file: Path | None
    changes: Sequence[str]
    mode: ReplayedMode
    alerts: Sequence[str]
    plans: Path | None


@dataclass(frozen=True)
class Past:
    """A history with the sizes of its plans, and where both came from."""

    history: History
    sizes: Sizes
    source: Source


def run_replay(options: Options) -> ReplayReport:
    """Replay as `options` say.

    Raises:
        RemediatorRefused: a wrong option, nothing to replay, or a Prometheus that does not answer.
        InventoryError: the inventory, or a changed setting, cannot be used.
    """
    settings = [load_settings(options.config_file)]
    if options.changes:
        settings.append(load_settings(options.config_file, options.changes, options.mode))
    past = _read_past(options, settings)
    replayed = [as_replayed(each, options.mode) for each in settings]
    played = [_play(each, past) for each in replayed]
    summaries = [summarize(each, inventory) for each, inventory in zip(played, replayed, strict=True)]
    return ReplayReport(
        replace(past.source, notes=[*past.source.notes, *plan_notes(options.changes)]),
        options.mode,
        summaries[0],
        options.changes,
        summaries[1] if len(summaries) > 1 else None,
        changed_episodes(*played) if len(played) > 1 else (),
    )


def _play(inventory: Inventory, past: Past) -> Played:
    try:
        return play(inventory, past.history, PastTargets(past.sizes))
    except SimulationFailed as error:
        raise RemediatorRefused(f"{error}; please report it with this command") from error


def _read_past(options: Options, settings: Sequence[Inventory]) -> Past:
    period = parse_period(options.since, options.until, options.step)
    if options.deliveries is not None:
        return read_deliveries(options.deliveries, period, _block_on_notes(settings, BLOCKED_BY_ALL))
    if options.access is None:
        raise WrongUsage("no past is given; set --prometheus (PROMETHEUS_URL) or --deliveries")
    mappings = [parse_mapping(text, settings[0]) for text in options.alerts]
    notes = _block_on_notes(settings, BLOCKED_BY_REPLAYED)
    return asyncio.run(_read_prometheus(options.access, period, options, mappings, notes))


def _block_on_notes(settings_of_both: Sequence[Inventory], meaning: str) -> Sequence[str]:
    """Return what `block_on` means in this replay, if a remediation has it, or is to have it."""
    blocked = [
        f"stacks.{name}.remediations.{each}.block_on"
        for inventory in settings_of_both
        for name, stack in inventory.stacks.items()
        for each, settings in stack.remediations.items()
        if settings.block_on
    ]
    return [f"{', '.join(dict.fromkeys(blocked))}: {meaning}"] if blocked else []


def read_deliveries(file: Path, period: Period, notes: Sequence[str] = ()) -> Past:
    """Read the deliveries and the sizes that `ledger export` has written.

    Raises:
        WrongUsage: the file is none of its files.
        RemediatorRefused: it has no deliveries in this time.
    """
    export = read_export(file)
    deliveries = [each for each in export.deliveries if period.since <= each.received_at <= period.until]
    if not deliveries:
        raise RemediatorRefused(f"{file} has no deliveries within --since and --until; set a longer time")
    since = max(export.since, period.since)
    history = History(since, period.until, deliveries=deliveries)
    first = f"the first delivery is of {deliveries[0].received_at:%Y-%m-%d %H:%M} UTC; the file knows nothing before"
    source = Source(str(file), since, period.until, None, [UNKNOWN_PAST, first, *notes], deliveries=len(deliveries))
    return Past(history, Sizes(recorded=export.plans), source)


async def _read_prometheus(
    access: Access, period: Period, options: Options, mappings: Sequence[AlertMapping], block_on: Sequence[str]
) -> Past:
    recorded = read_export(options.plans).plans if options.plans is not None else {}
    async with open_prometheus(access) as prometheus:
        covered = await read_coverage(prometheus, period.since, period.until)
        history = await read_alerts(prometheus, period.since, period.until, period.step, mappings)
        measured = await read_sizes(prometheus, history, period.step)
        left_out = await left_out_notes(prometheus, period.since, period.until, mappings)
        notes = [UNKNOWN_PAST, *block_on, *left_out, *await threshold_notes(prometheus, history)]
        notes += [f"Prometheus warns, so its past may be incomplete: {each}" for each in prometheus.warnings]
    sizes = Sizes(measured.found, measured.population, recorded)
    firings = sum(len(each.spans) for each in history.alerts)
    source = Source(f"Prometheus at {prometheus.shown}", period.since, period.until, covered, notes, firings)
    return Past(history, sizes, source)
