"""`approve` and `reject`: decide on a run that awaits approval."""

from typing import Annotated

import typer

from runbookctl.options import OutputOption, RunArgument, client_of, console
from runbookctl.printing import answers


def approve(context: typer.Context, number: RunArgument, output: OutputOption = answers.Format.TEXT) -> None:
    """Approve a run: it may touch exactly the items it lists."""
    answer = client_of(context).post(f"/api/v1/runs/{number}/approve")
    answers.print_result(
        console, answer, output, f"run {number} is approved; every bound is evaluated again before it acts"
    )


def reject(
    context: typer.Context,
    number: RunArgument,
    reason: Annotated[str, typer.Option(help="Reason, which the audit trail keeps.")] = "",
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Reject a run: it touches nothing."""
    answer = client_of(context).post(f"/api/v1/runs/{number}/reject", {"reason": reason} if reason else None)
    answers.print_result(console, answer, output, f"run {number} is rejected")
