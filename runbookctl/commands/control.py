"""The commands that tell the remediator something: `approve`, `reject`, `pause`, `resume`."""

from typing import Annotated, Any

import typer

from runbookctl.options import OutputOption, RunArgument, StackOption, client_of, console
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


def pause(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; it is shown wherever a run is refused.")],
    stack: StackOption = None,
    span: Annotated[str | None, typer.Option("--for", help="How long, as in 2h; until `resume` if left out.")] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Stop every remediation, of one stack or of all, before its next effect."""
    body: dict[str, Any] = {"reason": reason, "stack": stack, "for": span}
    payload = {name: value for name, value in body.items() if value is not None}
    answers.print_result(
        console, client_of(context).post("/api/v1/pause", payload), output, f"paused: {stack or 'everything'}"
    )


def resume(context: typer.Context, stack: StackOption = None, output: OutputOption = answers.Format.TEXT) -> None:
    """End the pauses of one stack, or all of them."""
    client = client_of(context)
    answer = client.delete("/api/v1/pause", {"stack": stack})
    answers.print_result(console, answer, output, f"{answer['ended']} pauses ended")
    if output is answers.Format.TEXT:
        for each in client.get("/api/v1/pause")["pauses"]:
            answers.line(console, f"still paused: {answers.pause(each)}")
