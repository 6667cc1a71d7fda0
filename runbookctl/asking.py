"""What the commands share: who is asked, and how the answer is printed."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from runbookctl import show
from runbookctl.client import RemediatorClient

UNWRAPPED_WIDTH = 10_000  # columns: a program that reads lines must not find them folded

console = Console(width=None if sys.stdout.isatty() else UNWRAPPED_WIDTH)

OutputOption = Annotated[show.Format, typer.Option("--output", "-o", help="How to print the answer.")]
RunArgument = Annotated[int, typer.Argument(help="The number of a run, as `runbookctl runs` lists it.", min=1)]
StackOption = Annotated[str | None, typer.Option(help="Only this stack.")]


def client_of(context: typer.Context) -> RemediatorClient:
    """The remediator that is asked; see `connect`."""
    client: RemediatorClient = context.obj
    return client
