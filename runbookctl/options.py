"""What the commands share: who is asked, and how the answer is printed."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from runbookctl.client import RemediatorClient
from runbookctl.printing import answers
from runbookd.inventory import Inventory, load_inventory
from runbookd.service.check import NO_INVENTORY

UNWRAPPED_WIDTH = 10_000  # columns: a program that reads lines must not find them folded

console = Console(width=None if sys.stdout.isatty() else UNWRAPPED_WIDTH)

OutputOption = Annotated[answers.Format, typer.Option("--output", "-o", help="How to print the answer.")]
RunArgument = Annotated[int, typer.Argument(help="The number of a run, as `runbookctl runs` lists it.", min=1)]
StackOption = Annotated[str | None, typer.Option(help="Only this stack.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config.file", envvar="RUNBOOK_CONFIG_FILE", help="The inventory, a YAML file.")
]


def client_of(context: typer.Context) -> RemediatorClient:
    """The remediator that is asked; see `connect`."""
    client: RemediatorClient = context.obj
    return client


def load_inventory_or_fail(file: Path | None) -> Inventory:
    """The inventory of `file`, or of the environment.

    Raises:
        BadParameter: there is none.
        InventoryError: it can not be used.
    """
    inventory = load_inventory(file, os.environ)
    if inventory is None:
        raise typer.BadParameter(NO_INVENTORY)
    return inventory
