"""`/metrics?debug=true`: what each target did in this scrape.

It explains why a series is missing. It shows counts, times and the exporter's own error texts, so it holds no secrets.
"""

from collections.abc import Iterator

from exporter.scheduling.outcome import ReadingOutcome
from exporter.scheduling.target import ScheduledTarget
from exporter.scrape import Scraper, Selection


async def debug_page(scraper: Scraper, deadline: float, selection: Selection) -> str:
    """Scrape as `/metrics` does before `deadline` (event loop's clock), and report it as text."""
    await scraper.scrape(deadline, selection)
    lines = [line for each in scraper.targets if selection.has(each) for line in _target_lines(each)]
    return "".join(f"{line}\n" for line in lines or ["no targets"])


def _target_lines(target: ScheduledTarget) -> Iterator[str]:
    yield f"{target}: {target.problem or 'up'}"
    for lane, outcome in target.outcomes.items():
        yield f"  {lane}: {_format_outcome(outcome)}"
        yield from (f"    {note}" for note in (outcome.reading.notes if outcome.reading is not None else ()))
    if target.dropped:
        yield f"  dropped: {', '.join(f'{count} of {metric}' for metric, count in sorted(target.dropped.items()))}"


def _format_outcome(outcome: ReadingOutcome) -> str:
    """Show failure and reading: a background lane keeps its last good samples."""
    parts = [f"{outcome.seconds:.3f} s"]
    if outcome.failure is not None:
        parts.append(f"{'timeout' if outcome.failure.timeout else 'error'}: {outcome.failure.reason}")
    if outcome.reading is not None:
        parts.append(f"round trips {outcome.reading.round_trips}, samples {outcome.reading.count}")
    return ", ".join(parts)
