"""Prints recurring problems, each with its evidence and its permanent fix."""

from rich.console import Console

from remediator.model.logfmt import format_pairs
from runbookctl.printing.answers import Format, Row, as_json, day, line

MAX_RUNS = 5


def recurring(console: Console, answer: Row, output: Format) -> None:
    """Print all problems, or that there are none."""
    if output is Format.JSON:
        as_json(answer)
        return
    if not answer["problems"]:
        line(console, "no problem recurs")
    for problem in answer["problems"]:
        line(console, f"{problem['remediation']} on {problem['target']}", style="bold")
        line(console, f"  {_history(problem)}")
        for cause in problem["causes"]:
            line(console, f"  {cause['items']} of {problem['items']} items: {format_pairs(cause['traits'])}")
        line(console, f"  permanent fix: {problem['fix']['advice']}")
        for each in problem["fix"]["snippet"].splitlines():
            line(console, f"    {each}".rstrip())


def _history(problem: Row) -> str:
    runs = ", ".join(map(str, problem["runs"][:MAX_RUNS])) + (", …" if len(problem["runs"]) > MAX_RUNS else "")
    acted = f"{problem['acted']} runs acted" if problem["acted"] else "no run acted"
    return (
        f"{problem['times']} times in seven days, from {day(problem['first_at'])} to {day(problem['last_at'])};"
        f" {acted}; runs {runs}"
    )
