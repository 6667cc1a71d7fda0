"""Splits SQL texts into tokens, as PostgreSQL's lexer does, also where `pg_stat_activity` has truncated them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# In the order in which they are tried at each position. A truncated literal ends with the text. After a backslash
# before a quote, the end of a plain string depends on the session's settings, so the rest is one token.
_TOKENS = re.compile(
    r"""
    (?P<comment>--[^\n]*|/\*)
  | (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?$))
  | (?P<ambiguous>'(?:[^'\\]|''|\\(?!'))*\\'.*)
  | (?P<string>(?:\b(?:[uU]&|[bBxXnN]))?'(?:[^']|'')*(?:'|$))
  | (?P<dollar>(?<![\w$])\$(?P<tag>[A-Za-z_\x80-\uffff]?[\w\x80-\uffff]*)\$.*?(?:\$(?P=tag)\$|$))
  | (?P<quoted>"(?:[^"]|"")*(?:"|$))
  | (?P<word>[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*|\$\d+)
  | (?P<number>(?:0[xXoObB][0-9A-Fa-f_]+|\d[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?\d+)?|\.\d[\d_]*))
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True)
class Token:
    """A token and its kind: a group of `_TOKENS`, or `other` for white space, operators and parentheses."""

    kind: str
    text: str


def tokenize(statement: str) -> Iterator[Token]:
    """Yield the tokens of `statement`; joined, they are its whole text."""
    position = 0
    while (match := _TOKENS.search(statement, position)) is not None:
        if match.start() > position:
            yield Token("other", statement[position : match.start()])
        position = _end_of_comment(statement, match.end()) if match.group() == "/*" else match.end()
        yield Token(str(match.lastgroup), statement[match.start() : position])
    if position < len(statement):
        yield Token("other", statement[position:])


def _end_of_comment(statement: str, position: int) -> int:
    """Return the end of the comment that began before `position`; PostgreSQL's comments nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(statement, position):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(statement)
