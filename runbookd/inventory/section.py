"""The building blocks of the inventory model: sections, names and time zones."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

NAME = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
Name = Annotated[str, StringConstraints(pattern=NAME)]


class Section(BaseModel):
    """A block of the inventory: immutable, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{name!r} is not an IANA time zone such as UTC or Europe/Berlin") from None
    return name


Zone = Annotated[str, AfterValidator(_check_zone)]


def at_most_one_source(block: Section, *keys: str) -> None:
    """Raise ValueError if both a secret and its `…_file` are set."""
    for key in keys:
        if getattr(block, key) is not None and getattr(block, f"{key}_file") is not None:
            raise ValueError(f"{key} and {key}_file are both set; keep one")
