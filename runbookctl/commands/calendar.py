"""`done`, `duties` and `windows`: the tasks of people, and when the stacks may be touched."""

from typing import Annotated
from urllib.parse import quote

import typer

from runbookctl.options import OutputOption, StackOption, client_of, console
from runbookctl.printing import answers, calendar


def done(
    context: typer.Context,
    stack: Annotated[str, typer.Argument(metavar="STACK", help="Name of the stack.")],
    duty: Annotated[str, typer.Argument(metavar="DUTY", help="Name of the duty, as in the inventory.")],
    at: Annotated[str | None, typer.Option(help="When it was done, as in 2026-11-29T10:00:00Z; default: now.")] = None,
    note: Annotated[str, typer.Option(help="Remarks on it.")] = "",
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Report that a duty was done."""
    report = {"note": note} if at is None else {"note": note, "at": at}
    path = f"/api/v1/duties/{quote(stack, safe='')}/{quote(duty, safe='')}/done"
    answer = client_of(context).post(path, report)
    sentence = f"{stack} {duty}: done at {answers.moment(answer['last_done_at'])}, due again at {answer['due_at']}"
    answers.print_result(console, answer, output, sentence)


def duties(context: typer.Context, stack: StackOption = None, output: OutputOption = answers.Format.TEXT) -> None:
    """List the duties, the next one first. Exit with 1 if one is overdue."""
    answer = client_of(context).get("/api/v1/duties", {"stack": stack})
    calendar.duties(console, answer, output)
    if any(each["state"] == "overdue" for each in answer["duties"]):
        raise typer.Exit(1)


def windows(
    context: typer.Context,
    stack: StackOption = None,
    days: Annotated[int, typer.Option(min=1, max=92, help="How far to look ahead.")] = 14,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """List the next windows with their announcements, and the freezes."""
    answer = client_of(context).get("/api/v1/windows", {"days": str(days), "stack": stack})
    calendar.windows(console, answer, output)
