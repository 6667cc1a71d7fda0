"""A tired person understands each line at once: constructions that prevent it are refused or counted down."""

import re
from collections.abc import Iterator

import pytest

from tests.style.prose import Passage, of_lines, of_python, passages

BANNED = {
    "can not": "cannot",
    "is told": "name the actor: the engine notifies, the exporter reports",
    "is said": "name the actor: the page reports",
    "so many": "the number",
    "anew": "again, or re-read",
    "afresh": "again",
    "lest": "so that … not",
    "mend": "fix",
    "go on with": "continue",
    "work off": "process",
    "come to nothing": "fail",
    "stand in the way": "block",
    "whoever": "name the role",
    "somebody": "name the role",
}
"""A construction, and what to write instead."""

OPENINGS = 0
"""The sentences that open with What, Whatever, Whoever or Of: lower this number when you rewrite one."""

_BANNED = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)
_OPENING = re.compile(r"(?:^|[.!?:;] |\n)\W*((?:What|Whatever|Whoever|Of)\b[^.?!;]*)(?=([.?!;]|$))")


def banned(passage: Passage) -> Iterator[str]:
    for match in _BANNED.finditer(passage.text):
        yield f"{passage.place}: {match[0]!r}: write {BANNED[match[0].lower()]}"


def openings(passage: Passage) -> Iterator[str]:
    """Yield the counted openings; a question may have one."""
    for match in _OPENING.finditer(passage.text):
        if match[2] != "?":
            yield f"{passage.place}: {match[1][:80]!r}"


def test_banned_constructions_do_not_occur() -> None:
    assert not [problem for passage in passages() for problem in banned(passage)]


def test_sentences_that_open_with_a_clause_become_fewer() -> None:
    found = [problem for passage in passages() for problem in openings(passage)]
    assert len(found) == OPENINGS, "\n".join(found)


@pytest.mark.parametrize(
    ("file", "text", "problems"),
    [
        ("a.py", '"""It can not."""\n', 1),
        ("a.py", "x = 1  # lest it end\n", 1),
        ("a.py", 'f"so {1} many"\n', 0),
        ("a.py", 'f"{1} is told"\n', 2),  # once as part, once as whole
        ("a.md", "Nobody is\ntold. Celestial.\n", 0),
        ("a.md", "- Anew.\n", 1),
    ],
)
def test_banned_construction_is_found_where_it_stands(file: str, text: str, problems: int) -> None:
    read = of_python if file.endswith(".py") else of_lines
    assert len([problem for passage in read(file, text) for problem in banned(passage)]) == problems


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("What fails is retried.", 1),
        ("| Of more queues the first are read |", 1),
        ("# It ends. Whoever waits hears of it.", 1),
        ("What is a bound? A limit.", 0),
        ("Failed sends are retried.", 0),
        ("Whatever happens", 1),
    ],
)
def test_opening_clause_is_counted_unless_it_asks(text: str, count: int) -> None:
    assert len([problem for passage in of_lines("a.md", text) for problem in openings(passage)]) == count
