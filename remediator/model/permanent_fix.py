"""The permanent fix of a recurring problem: what its items have in common, and the text that an operator applies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from remediator.model.logfmt import format_value

# The language of a snippet, as Markdown names it; "" is prose for people.
Language = Literal["", "sql", "javascript", "yaml", "ini", "shell", "redis"]


@dataclass(frozen=True)
class Cause:
    """The values that a number of items share, such as a role and its application.

    `least` are the least ones of the numbers that the fix is made from.
    """

    traits: Mapping[str, str]
    items: int
    least: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{name} {format_value(value)}" for name, value in self.traits.items())


@dataclass(frozen=True)
class Fix:
    """The permanent fix in a sentence, and the text to apply if there is one.

    The remediator never applies it: it changes what the remediator may not, and needs rights that it lacks.
    """

    advice: str
    snippet: str = ""
    language: Language = ""


def values_of(causes: Sequence[Cause], trait: str) -> Sequence[str]:
    """Return the different values of a trait, the most frequent first."""
    return list(dict.fromkeys(each.traits[trait] for each in causes if trait in each.traits))
