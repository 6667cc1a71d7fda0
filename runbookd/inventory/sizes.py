"""Sizes in the inventory: `5GiB`, `200MiB`, or whole bytes as in `1048576`."""

import re
from typing import Annotated, Any

from runbookd.inventory.constraints import BeforeValidator, PlainSerializer

_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "": 1}
_SHAPE = re.compile(r"([1-9][0-9]{0,15})(KiB|MiB|GiB|TiB|)")
LARGEST = 2**50  # a petabyte: a larger one is a typo


def parse_size(text: str) -> int:
    """Parse a size such as `5GiB`; return bytes.

    Raises:
        ValueError: `text` is not a whole number from 1 with a unit of 1,024, or it is larger than LARGEST.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:20]!r} is not a size; write it like 5GiB, 200MiB or 1048576")
    size = int(match[1]) * _UNITS[match[2]]
    if size > LARGEST:
        raise ValueError(f"{text!r} is too large; a size is at most {format_size(LARGEST)}")
    return size


def format_size(size: int) -> str:
    """Format whole bytes so that `parse_size` can read them back: the largest unit that divides them."""
    for unit, factor in sorted(_UNITS.items(), key=lambda each: -each[1]):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    raise AssertionError("1 divides every size")


def _from_yaml(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"a size is a text like 5GiB or whole bytes, not {value!r}")
    return parse_size(str(value))


Size = Annotated[int, BeforeValidator(_from_yaml), PlainSerializer(format_size, return_type=str, when_used="json")]
