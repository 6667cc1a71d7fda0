"""Recognizable secrets, and the search for them in whatever a program shows."""

import base64
import re
from collections.abc import Iterator
from secrets import token_hex
from urllib.parse import quote, unquote

# A word of this process: a neighbour's tests show theirs in command lines.
_WORD = f"hunter{token_hex(4)}secret"
# The letters of the word in base64 at each of the three alignments, without the edges that its neighbours change.
_BASE64 = [
    base64.b64encode(b"x" * shift + _WORD.encode())[4 * (shift > 0) :][:12].decode().rstrip("=") for shift in range(3)
]
_SHOWN = re.compile("|".join([rf"{_WORD}(\d*)", *map(re.escape, _BASE64), _WORD.encode().hex()]))


class Secrets:
    """Makes secrets, and finds them again; each has a number that tells where it was planted."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def word(self, place: str) -> str:
        """Return a secret of letters and digits."""
        self.places.append(place)
        return f"{_WORD}{len(self.places) - 1:03}"

    def password(self, place: str) -> str:
        """Return a password whose every part is recognizable, wherever a reader splits it."""
        word = self.word(place)
        return f"{word}-p@ss{word}:w/{word}%20{word}#{word}?{word}"

    def shown_in(self, text: str) -> Iterator[str]:
        """Yield where each secret in `text` was planted, with the text around it."""
        decoded = unquote(text) if not _SHOWN.search(text) else ""
        for variant in (text, decoded):
            for match in _SHOWN.finditer(variant):
                place = self.places[int(match[1])] if match[1] else "an encoded secret"
                yield f"{place}: …{variant[max(match.start() - 150, 0) : match.end() + 60]}…"


def escaped(password: str) -> str:
    """Return a password as it stands in an address."""
    return quote(password, safe="")
