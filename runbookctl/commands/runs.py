"""`status`, `runs` and `run`: show what was done."""

from typing import Annotated

import typer

from runbookctl.options import OutputOption, RunArgument, StackOption, client_of, console
from runbookctl.printing import answers


def status(context: typer.Context, output: OutputOption = answers.Format.TEXT) -> None:
    """Show the remediator's health, pauses, open breakers and unfinished runs."""
    answer = client_of(context).get("/api/v1/status")
    if output is answers.Format.JSON:
        answers.as_json(answer)
    else:
        answers.status(console, answer)


def runs(
    context: typer.Context,
    stack: StackOption = None,
    remediation: Annotated[str | None, typer.Option(help="Only runs of this remediation.")] = None,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of runs to list, newest first.")] = 20,
    before: Annotated[int | None, typer.Option(min=1, help="Only runs older than this run number.")] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """List runs, newest first."""
    query = {"stack": stack, "remediation": remediation, "state": state, "limit": str(limit)}
    query |= {"before": str(before)} if before is not None else {}
    answers.runs(console, client_of(context).get("/api/v1/runs", query), output)


def run(context: typer.Context, number: RunArgument, output: OutputOption = answers.Format.TEXT) -> None:
    """Show one run: its history, items, evidence, and the bounds that stopped it."""
    answers.run(console, client_of(context).get(f"/api/v1/runs/{number}"), output)
