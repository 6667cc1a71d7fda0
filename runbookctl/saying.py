"""The commands that tell the remediator something: `approve`, `reject`, `pause`, `resume`, `breaker close`."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from runbookctl import show
from runbookctl.asking import OutputOption, RunArgument, StackOption, client_of, console


def approve(context: typer.Context, number: RunArgument, output: OutputOption = show.Format.TEXT) -> None:
    """Allow a run to touch exactly the items it lists."""
    answer = client_of(context).post(f"/api/v1/runs/{number}/approve")
    show.print_result(
        console, answer, output, f"run {number} is approved; every bound is asked once more before it acts"
    )


def reject(context: typer.Context, number: RunArgument, output: OutputOption = show.Format.TEXT) -> None:
    """Say no to a run."""
    answer = client_of(context).post(f"/api/v1/runs/{number}/reject")
    show.print_result(console, answer, output, f"run {number} is rejected")


def pause(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; it is shown wherever a run is refused.")],
    stack: StackOption = None,
    span: Annotated[str | None, typer.Option("--for", help="How long, as in 2h; until `resume` if left out.")] = None,
    output: OutputOption = show.Format.TEXT,
) -> None:
    """Stop every remediation, of one stack or of all, before its next effect."""
    body: dict[str, Any] = {"reason": reason, "stack": stack, "for": span}
    payload = {name: value for name, value in body.items() if value is not None}
    show.print_result(
        console, client_of(context).post("/api/v1/pause", payload), output, f"paused: {stack or 'everything'}"
    )


def resume(context: typer.Context, stack: StackOption = None, output: OutputOption = show.Format.TEXT) -> None:
    """End the pauses of one stack, or all of them."""
    client = client_of(context)
    answer = client.delete("/api/v1/pause", {"stack": stack})
    show.print_result(console, answer, output, f"{answer['ended']} pauses ended")
    if output is show.Format.TEXT:
        for each in client.get("/api/v1/pause")["pauses"]:
            show.line(console, f"still paused: {show.pause(each)}")


def close_breaker(
    context: typer.Context,
    remediation: Annotated[str, typer.Argument(help="The remediation.")],
    target: Annotated[str, typer.Argument(help="The target, as in shop/postgres/main.")],
    output: OutputOption = show.Format.TEXT,
) -> None:
    """Close a breaker: you have looked, and the remediation may be tried again."""
    path = f"/api/v1/breakers/{quote(remediation, safe='')}/{quote(target, safe='')}"
    answer = client_of(context).delete(path)
    show.print_result(console, answer, output, f"the breaker of {remediation} on {target} is closed")
