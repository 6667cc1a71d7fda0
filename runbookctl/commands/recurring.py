"""`recurring`: the problems that come back, with what causes them and how to end them for good."""

import typer

from runbookctl.options import OutputOption, StackOption, client_of, console
from runbookctl.printing import answers
from runbookctl.printing import recurring as printing


def recurring(context: typer.Context, stack: StackOption = None, output: OutputOption = answers.Format.TEXT) -> None:
    """List the problems of the last seven days that keep coming back, with permanent fixes. Exit with 1 if any."""
    answer = client_of(context).get("/api/v1/recurring", {"stack": stack})
    printing.recurring(console, answer, output)
    if answer["problems"]:
        raise typer.Exit(1)
