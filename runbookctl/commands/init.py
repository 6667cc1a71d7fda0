"""A start: `init`."""

from typing import Annotated

import typer

from runbookctl.options import console
from runbookctl.starter_files import write_examples


def init(
    folder: Annotated[str, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    stack: Annotated[str, typer.Option(help="The name of your stack.")] = "shop",
) -> None:
    """Write an inventory and thresholds to start from."""
    for file in write_examples(folder, stack):
        console.print(f"wrote {file}")
