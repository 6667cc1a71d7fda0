"""Prints a replay as text: the past, what each remediation would have done, and what changed settings change."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rich.console import Console

from runbookctl.printing.answers import line
from runbookctl.replay.comparison import ChangedEpisode
from runbookctl.replay.report import ReplayReport, Source
from runbookctl.replay.summary import BusiestHour, RemediationSummary, Stopped, Summary
from runbookd.inventory import format_duration

SHOWN_MOMENTS, SHOWN_EPISODES, SHOWN_STORMS, SHOWN_TARGETS = 3, 20, 5, 5
MODES = {
    "auto": "Replayed as if every remediation that is not off had mode auto; --mode inventory keeps the modes.",
    "inventory": "Replayed with the modes of the inventory; --mode auto shows what auto would have done.",
}
SIZES = {
    "measured": "measured by the series of that time",
    "recorded": "recorded by a remediator",
    "declared": "always one item",
    "unknown": "unknown, so max_items and max_share judged nothing",
}
# (the name in the table, the number of a remediation)
COUNTS = (
    ("episodes", "episodes"),
    ("acted", "acted"),
    ("of them first in an episode", "first"),
    ("asked for approval", "asked"),
    ("nothing to do", "nothing_to_do"),
    ("ended by themselves before it acted", "gone"),
)


def show(console: Console, report: ReplayReport) -> None:
    """Print the report."""
    for text in _lines(report):
        line(console, text)


def _lines(report: ReplayReport) -> Iterator[str]:
    yield from _source_lines(report.source)
    yield MODES[report.mode]
    yield "A recorded alert goes on even if a run would have repaired it: only the first run of an episode is certain."
    yield from _summary_lines(report.present)
    if report.changed is not None:
        yield ""
        yield f"changed: {', '.join(report.changes)}"
        yield from _comparison_lines(report.present, report.changed)
        yield from _episode_lines(report.changed_episodes)


def _source_lines(source: Source) -> Iterator[str]:
    length = format_duration(source.until - source.since)
    count = _of("delivery", source.deliveries) if source.firings is None else _of("firing", source.firings)
    yield f"{source.what}: {_minute(source.since)} to {_minute(source.until)} UTC ({length}), {count}"
    if source.covered is not None:
        share = source.covered / (source.until - source.since)
        yield f"data for {format_duration(_minutes(source.covered))} of {length} ({share:.0%})"
    for note in source.notes:
        yield f"note: {note}"


def _summary_lines(summary: Summary) -> Iterator[str]:
    if not summary.remediations:
        yield "no remediation would have had anything to do"
    else:
        yield _total_line(summary.remediations)
    for each in summary.remediations:
        yield ""
        yield from _remediation_lines(each)
    yield ""
    yield f"busiest hour of all: {_hour(summary.busiest_hour)}"
    yield f"storms: {len(summary.storms) or 'none'}"
    for at, detail in summary.storms[:SHOWN_STORMS]:
        yield f"  {_minute(at)}: {detail}"
    yield from _unknown_lines(summary.unknown_targets)


def _total_line(remediations: Sequence[RemediationSummary]) -> str:
    acted, episodes = sum(each.acted for each in remediations), sum(each.episodes for each in remediations)
    return f"In all it would have acted {_times(acted)} in {_of('episode', episodes)}."


def _remediation_lines(each: RemediationSummary) -> Iterator[str]:
    yield f"{each.stack}: {each.remediation} (mode {each.mode})"
    yield f"  would have acted {_times(each.acted)} in {_of('episode', each.episodes)}{_first(each)}"
    if each.would_act_in_shadow:
        yield f"  in shadow: {_of('plan', each.would_act_in_shadow)} that no bound would have stopped"
    if each.asked:
        yield f"  would have asked for approval {_times(each.asked)}"
    yield from (f"  refused by {_stopped(bound)}" for bound in each.refused)
    yield from (f"  deferred by {_stopped(bound)}" for bound in each.deferred)
    if each.nothing_to_do:
        yield f"  nothing to do: {_times(each.nothing_to_do)}"
    if each.gone:
        yield f"  ended by themselves before it would have acted: {_of('episode', each.gone)}"
    if each.short:
        yield f"  lasted less than 5m: {_of('episode', each.short)}; min_firing: 5m would leave such alerts alone"
    if each.acted:
        yield f"  busiest hour: {_hour(each.busiest_hour)}"
    yield from (f"  size of {_of('plan', count)}: {SIZES[name]}" for name, count in sorted(each.sizes.items()))


def _first(each: RemediationSummary) -> str:
    return f": {_of('first run', each.first)}, {_of('repetition', each.again)}" if each.acted else ""


def _stopped(each: Stopped) -> str:
    moments = ", ".join(_minute(moment) for moment in each.moments[:SHOWN_MOMENTS])
    more = ", ..." if len(each.moments) > SHOWN_MOMENTS else ""
    return f"{each.bound}: {_times(len(each.moments))} ({moments}{more})"


def _unknown_lines(targets: Mapping[str, int]) -> Iterator[str]:
    if targets:
        yield f"alerts name {len(targets)} targets that the inventory does not have; each was refused:"
        for name in sorted(targets)[:SHOWN_TARGETS]:
            yield f"  {name}"


def _comparison_lines(present: Summary, changed: Summary) -> Iterator[str]:
    befores, afters = (
        {(each.stack, each.remediation): each for each in one.remediations} for one in (present, changed)
    )
    for key in sorted({*befores, *afters}):
        before, after = befores.get(key), afters.get(key)
        if before == after:
            continue
        yield ": ".join(key)
        if before is None or after is None:
            yield f"  {'present' if before is None else 'changed'}: no alert is about a target that the inventory has"
        else:
            yield f"  {'':<40}{'present':>10}{'changed':>10}"
            yield from _rows(before, after)
    yield f"  {'busiest hour of all':<40}{_runs(present.busiest_hour):>10}{_runs(changed.busiest_hour):>10}"
    if present.storms or changed.storms:
        yield f"  {'storms':<40}{len(present.storms):>10}{len(changed.storms):>10}"


def _rows(before: RemediationSummary, after: RemediationSummary) -> Iterator[str]:
    rows = [(text, getattr(before, name), getattr(after, name)) for text, name in COUNTS]
    rows += [("busiest hour", _runs(before.busiest_hour), _runs(after.busiest_hour))]
    for verb, name in (("refused by", "refused"), ("deferred by", "deferred")):
        counts = [{each.bound: len(each.moments) for each in getattr(one, name)} for one in (before, after)]
        rows += [
            (f"{verb} {bound}", counts[0].get(bound, 0), counts[1].get(bound, 0)) for bound in counts[0] | counts[1]
        ]
    for text, one, other in rows:
        if one or other:
            yield f"  {text:<40}{one:>10}{other:>10}"


def _episode_lines(episodes: Sequence[ChangedEpisode]) -> Iterator[str]:
    yield f"{_of('episode', len(episodes))} with another outcome{':' if episodes else ''}"
    for each in episodes[:SHOWN_EPISODES]:
        yield f"  {_minute(each.at)} {each.remediation} on {each.target}: present: {each.before}; changed: {each.after}"
    if len(episodes) > SHOWN_EPISODES:
        yield f"  and {len(episodes) - SHOWN_EPISODES} more; --output json has all"


def _runs(hour: BusiestHour | None) -> int:
    return 0 if hour is None else hour.runs


def _hour(hour: BusiestHour | None) -> str:
    return "no run" if hour is None else f"{_of('run', hour.runs)} from {_minute(hour.start)} UTC"


def _of(word: str, number: int) -> str:
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{number or 'no'} {word if number == 1 else plural}"


def _times(number: int) -> str:
    return {0: "never", 1: "once"}.get(number, f"{number} times")


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _minutes(span: timedelta) -> timedelta:
    return timedelta(minutes=span // timedelta(minutes=1))
