"""Shows the timeline live: as a growing table on a terminal, as plain lines elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.timeline import Step, Timeline


def step_label(timeline: Timeline, step: Step) -> str:
    """Return the text for a reached step; for the bounds, with their result."""
    if step is Step.BOUNDS:
        return f"bounds: refused by {timeline.refused_by}" if timeline.refused_by else "bounds passed"
    return str(step)


class Display:
    """Prints the timelines to a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._timelines: list[Timeline] = []

    def print_line(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def add(self, timeline: Timeline) -> None:
        """Add an incident to the display."""
        self._timelines.append(timeline)
        self.print_line(f"   0.0 s  {timeline.name}: {timeline.incident.story}")
        self._refresh()

    def step_reached(self, timeline: Timeline, step: Step) -> None:
        """Show a reached step."""
        if self._live is None:
            self.print_line(f"{timeline.steps[step]:6.1f} s  {timeline.name}: {step_label(timeline, step)}")
        self._refresh()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep a table up to date while the block runs; without a terminal, only print lines."""
        if not self._console.is_terminal:
            yield
            return
        with Live(timeline_table(()), console=self._console, refresh_per_second=4) as self._live:
            try:
                yield
            finally:
                self._refresh()
                self._live = None

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(timeline_table(self._timelines))


def timeline_table(timelines: Sequence[Timeline]) -> Table:
    """Return a table of seconds since injection, with a row per step, a column per incident."""
    table = Table("step", *(timeline.name for timeline in timelines), title="seconds since the incident")
    for step in Step:
        table.add_row(str(step), *(_cell(timeline, step) for timeline in timelines))
    return table


def _cell(timeline: Timeline, step: Step) -> str:
    if step not in timeline.steps:
        return ""
    refused = step is Step.BOUNDS and timeline.refused_by
    return f"{timeline.steps[step]:.1f}" + (f" refused: {timeline.refused_by}" if refused else "")
