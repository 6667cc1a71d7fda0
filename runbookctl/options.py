"""Options and helpers that the commands share."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from runbookctl.client import RemediatorClient
from runbookctl.printing import answers

if TYPE_CHECKING:
    from runbookd.inventory import Inventory

UNWRAPPED_WIDTH = 10_000  # columns: lines must not wrap when a program reads them

console = Console(width=None if sys.stdout and sys.stdout.isatty() else UNWRAPPED_WIDTH)

OutputOption = Annotated[answers.Format, typer.Option("--output", "-o", help="Output format.")]
RunArgument = Annotated[int, typer.Argument(help="Number of a run, as listed by `runbookctl runs`.", min=1)]
StackOption = Annotated[str | None, typer.Option(help="Only this stack.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config.file", envvar="RUNBOOK_CONFIG_FILE", help="The inventory, a YAML file.")
]


def client_of(context: typer.Context) -> RemediatorClient:
    """Return the client that `connect` stored."""
    client: RemediatorClient = context.obj
    return client


def load_inventory_or_fail(file: Path | None) -> "Inventory":
    """Load the inventory from `file` or from the environment.

    Raises:
        BadParameter: no inventory is given.
        InventoryError: it cannot be used.
    """
    from runbookd.inventory import load_inventory
    from runbookd.service.check import NO_INVENTORY

    inventory = load_inventory(file, os.environ)
    if inventory is None:
        raise typer.BadParameter(NO_INVENTORY)
    return inventory
