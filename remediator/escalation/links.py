"""The links of messages to the console. Its address is optional; a link shows, and never acts."""

from runbookd.inventory import Inventory

Links = tuple[tuple[str, str], ...]


def console_link(inventory: Inventory, name: str, path: str) -> Links:
    """Return the link to a page of the console, or nothing without its address."""
    return ((name, f"{inventory.console.url}{path}"),) if inventory.console.url else ()
