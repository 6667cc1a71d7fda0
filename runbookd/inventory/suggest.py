"""Suggests an existing name for a misspelt one."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.5  # difflib similarity: one or two typos in a short word


def suggest(name: str, choices: Iterable[str], all_of_them: str = "there is") -> str:
    """Return the end of a message about an unknown name: the closest of `choices`, or all."""
    names = sorted(choices)
    close = difflib.get_close_matches(name, names, n=1, cutoff=CUTOFF)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; {all_of_them} {', '.join(names)}" if names else ""
