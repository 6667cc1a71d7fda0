"""What may have been meant by a name that does not exist."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.5  # of difflib's similarity: a typo or two in a short word


def suggest(name: str, choices: Iterable[str], all_of_them: str = "there is") -> str:
    """End a message about an unknown name: with the nearest of `choices`, else with all of them."""
    names = sorted(choices)
    close = difflib.get_close_matches(name, names, n=1, cutoff=CUTOFF)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; {all_of_them} {', '.join(names)}" if names else ""
