"""A person's word on a run that waits for it: `approve` and `reject`."""

import typer

from runbookctl.options import OutputOption, RunArgument, client_of, console
from runbookctl.printing import answers


def approve(context: typer.Context, number: RunArgument, output: OutputOption = answers.Format.TEXT) -> None:
    """Allow a run to touch exactly the items it lists."""
    answer = client_of(context).post(f"/api/v1/runs/{number}/approve")
    answers.print_result(
        console, answer, output, f"run {number} is approved; every bound is asked once more before it acts"
    )


def reject(context: typer.Context, number: RunArgument, output: OutputOption = answers.Format.TEXT) -> None:
    """Say no to a run."""
    answer = client_of(context).post(f"/api/v1/runs/{number}/reject")
    answers.print_result(console, answer, output, f"run {number} is rejected")
