"""The words of an act: of its button, as in `Terminate 3 sessions on shop/main`, and of what was done."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ActWords:
    """A verb, its past form, and the noun of the items.

    Without a noun the number is always one, and `{}` in `verb` and `done` is the target.
    """

    verb: str
    done: str
    noun: str = ""
    plural: str = ""
