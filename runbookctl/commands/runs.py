"""What was done: `status`, `runs` and `run`."""

from typing import Annotated

import typer

from runbookctl.options import OutputOption, RunArgument, StackOption, client_of, console
from runbookctl.printing import answers


def status(context: typer.Context, output: OutputOption = answers.Format.TEXT) -> None:
    """Show whether the remediator works, what is paused, open breakers, and the runs that have not ended."""
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
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, newest first.")] = 20,
    before: Annotated[int | None, typer.Option(min=1, help="Only runs older than the run of this number.")] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """List runs, newest first."""
    query = {"stack": stack, "remediation": remediation, "state": state, "limit": str(limit)}
    query |= {"before": str(before)} if before is not None else {}
    answers.runs(console, client_of(context).get("/api/v1/runs", query), output)


def run(context: typer.Context, number: RunArgument, output: OutputOption = answers.Format.TEXT) -> None:
    """Show one run: its plan, what bounds said, what was touched, the proof, and its history."""
    answers.run(console, client_of(context).get(f"/api/v1/runs/{number}"), output)
