"""`pause` and `resume`: the kill switch."""

from typing import Annotated, Any

import typer

from runbookctl.options import OutputOption, StackOption, client_of, console
from runbookctl.printing import answers


def pause(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; shown with every run that the pause refuses.")],
    stack: StackOption = None,
    span: Annotated[
        str | None, typer.Option("--for", help="How long, for example 2h; until `resume` if omitted.")
    ] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Stop every remediation of one stack, or of all stacks, before its next effect."""
    body: dict[str, Any] = {"reason": reason, "stack": stack, "for": span}
    payload = {name: value for name, value in body.items() if value is not None}
    answers.print_result(
        console, client_of(context).post("/api/v1/pause", payload), output, f"paused: {stack or 'everything'}"
    )


def resume(
    context: typer.Context,
    stack: StackOption = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the audit trail.")] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """End the pauses of one stack, or all of them."""
    client = client_of(context)
    answer = client.delete("/api/v1/pause", {"stack": stack, "reason": reason})
    answers.print_result(console, answer, output, f"pauses ended: {answer['ended']}")
    if output is answers.Format.TEXT:
        for each in client.get("/api/v1/pause")["pauses"]:
            answers.line(console, f"still paused: {answers.pause(each)}")
