"""Finds the files that are shipped beside the code: alert rules, boards, grants, units."""

from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from runbookctl.errors import InitError

CHECKOUT = Path(__file__).resolve().parents[2]
_DATA = ("share", "runbookd")


def shipped(name: str) -> Path:
    """Return a file or folder by its path in the checkout, such as `deploy/postgres`, also where it is installed.

    Raises:
        InitError: this installation lacks it.
    """
    places = [CHECKOUT / name, *(folder / name for folder in _installed())]
    for place in places:
        if place.exists():
            return place
    raise InitError(f"this installation has no {name}; install runbookd again from its wheel, or use a checkout")


@cache
def _installed() -> tuple[Path, ...]:
    """Return the folder of the installed data, wherever pip has put it."""
    try:
        recorded = files("runbookd") or ()
    except PackageNotFoundError:
        return ()
    for file in recorded:
        if _DATA[0] in file.parts:
            at = file.parts.index(_DATA[0])
            if file.parts[at : at + 2] == _DATA:
                return (Path(str(file.locate())).resolve().parents[len(file.parts) - at - 3],)
    return ()
