"""`init`: write starter files."""

from typing import Annotated

import typer

from runbookctl.options import console
from runbookctl.starter_files import write_examples


def init(
    folder: Annotated[str, typer.Argument(help="A folder that is empty or does not exist yet.")],
    stack: Annotated[str, typer.Option(help="Name of your stack.")] = "shop",
) -> None:
    """Write a starter inventory and starter thresholds."""
    for file in write_examples(folder, stack):
        console.print(f"wrote {file}")
