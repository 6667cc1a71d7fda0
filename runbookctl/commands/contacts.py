"""`contacts` and `contacts test`: who is notified, and whether a message reaches them."""

from typing import Annotated
from urllib.parse import quote

import typer

from runbookctl.options import OutputOption, client_of, console
from runbookctl.printing import answers


def list_contacts(context: typer.Context, output: OutputOption = answers.Format.TEXT) -> None:
    """List the contacts with their kind and their last success and failure."""
    if context.invoked_subcommand is None:
        answers.contacts(console, client_of(context).get("/api/v1/contacts"), output)


def send_test(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The contact, as in the inventory.")],
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Send one test message through the remediator, and report whether the service accepts it."""
    answer = client_of(context).post(f"/api/v1/contacts/{quote(name, safe='')}/test")
    sentence = f"{name} accepted the message" if answer["accepted"] else f"{name}: {answer['answer']}"
    answers.print_result(console, answer, output, sentence)
    if not answer["accepted"]:
        raise typer.Exit(1)
