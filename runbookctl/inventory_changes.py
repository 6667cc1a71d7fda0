"""The option `--set PATH=VALUE`: keys of the inventory that a command tries with another value."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from runbookctl.errors import WrongUsage

if TYPE_CHECKING:
    from runbookd.inventory import Change

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Try another value of a key of the inventory; repeat it.",
    ),
]


def read_changes(pairs: Iterable[str] | None) -> "Sequence[Change]":
    """Return the changes that the values of `--set` stand for.

    Raises:
        WrongUsage: one is not PATH=VALUE.
        InventoryError: a value is a list or a map, and not valid YAML.
    """
    from runbookd.inventory import Change, read_value

    changes: list[Change] = []
    for pair in pairs or ():
        key, separator, text = pair.partition("=")
        path, place = tuple(key.split(".")), f"--set {key[:200]}"
        if not separator or not all(path):
            raise WrongUsage(f"--set {pair[:50]!r}: write PATH=VALUE, as limits.concurrency=2")
        if any(path == each.path for each in changes):
            raise WrongUsage(f"{place} is given twice, and has one value only; remove one")
        changes.append(Change(path, read_value(text, place, path), place))
    return changes
