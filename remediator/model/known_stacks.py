"""Refuses a stack that the inventory does not have, with the name that may be meant."""

from collections.abc import Iterable

from remediator.model.errors import NoSuchTarget
from runbookd.inventory import Inventory
from runbookd.inventory.suggest import suggest

MAX_SHOWN = 100  # characters of a name that does not exist


def unknown_stack(name: str, stacks: Iterable[str]) -> str:
    """Return the message about a stack that the inventory does not have."""
    return f"the inventory has no stack {name[:MAX_SHOWN]!r}{suggest(name[:MAX_SHOWN], stacks)}"


def require_stack(inventory: Inventory, name: str | None) -> None:
    """Refuse a stack that the inventory does not have; None stands for all of them.

    Raises:
        NoSuchTarget: the inventory has no such stack.
    """
    if name is not None and name not in inventory.stacks:
        raise NoSuchTarget(unknown_stack(name, inventory.stacks))
