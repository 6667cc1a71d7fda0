"""Masks literals of statements, secrets, email and IP addresses in texts."""

import re
from urllib.parse import quote

MAX_STATEMENT = 300

# In the order in which they are tried at each position. A truncated literal ends with the text. After a backslash
# before a quote, the end of a plain string depends on the session's settings, so the rest is dropped.
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
_SPACE = re.compile(r"\s+")

# The name may be part of a longer name (DB_PASSWORD, clientSecret). Name and value may be quoted as in JSON, also in
# JSON within JSON. A truncated quoted value ends with the text.
_SECRET = re.compile(
    r"""
    (?P<name>(?:password|passwd|passphrase|pwd|secret|token|(?:api|access|private)[_-]?key|authorization)[\w-]{0,40}
        \\*["']?\s*(?:=>|:=|[=:])\s*)
    (?:"(?:[^"\\]|\\.)*"? | '(?:[^'\\]|\\.)*'? | \\+"[^"]*"? | (?:(?:bearer|basic)\s+)?\S+)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
# To the last @ of the word: a password may contain a slash or an @.
_URL_CREDENTIALS = (re.compile(r"://\S*@"), "://<credentials>@")
_CREDENTIALS = (
    _URL_CREDENTIALS,
    (_SECRET, r"\g<name><secret>"),
    (re.compile(r"(?i)\b(bearer)\s+[^\s\"',;]+"), r"\1 <token>"),
)
_REPLACEMENTS = (
    *_CREDENTIALS,
    (re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"), "<email>"),
    (re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)"), "<ip>"),
    (re.compile(r"(?<![\w:])(?=[0-9A-Fa-f:]*::|(?:[0-9A-Fa-f]+:){7})[0-9A-Fa-f:]{3,39}(?![\w:])"), "<ip>"),
    (re.compile(r"(?<![\w-])(?=[\w+/=.-]*\d)(?=[\w+/=.-]*[A-Za-z])[\w+/=.-]{32,}"), "<token>"),
)


def mask_text(text: str) -> str:
    """Return `text` in one line, with likely secrets, email and IP addresses masked."""
    for pattern, word in _REPLACEMENTS:
        text = pattern.sub(word, text)
    return _SPACE.sub(" ", text).strip()


def mask_credentials(text: str) -> str:
    """Return `text` with likely credentials masked, and its white space unchanged."""
    for pattern, word in _CREDENTIALS:
        text = pattern.sub(word, text)
    return text


def mask_url_credentials(text: str) -> str:
    """Return `text` with the credentials of addresses masked."""
    pattern, word = _URL_CREDENTIALS
    return pattern.sub(word, text)


def mask_secrets(text: str, *secrets: str) -> str:
    """Return `text` without `secrets`, plain or as in an address, and without likely ones.

    Addresses, paths and versions stay: they explain a tool's error.
    """
    for secret in filter(None, secrets):
        for written in (secret, quote(secret, safe="")):
            text = text.replace(written, "***")
    for pattern, word in _REPLACEMENTS[:3]:
        text = pattern.sub(word, text)
    return text


def mask_statement(statement: str) -> str:
    """Return an SQL statement with `?` for every literal, without comments, and truncated."""
    text = mask_text(_without_literals(statement))
    return text if len(text) <= MAX_STATEMENT else f"{text[:MAX_STATEMENT]}…"


def _without_literals(statement: str) -> str:
    parts, position = [], 0
    while (token := _TOKENS.search(statement, position)) is not None:
        parts.append(statement[position : token.start()])
        parts.append(_masked_token(token))
        position = _end_of_comment(statement, token.end()) if token.group() == "/*" else token.end()
    return "".join([*parts, statement[position:]])


def _masked_token(token: re.Match[str]) -> str:
    match token.lastgroup:
        case "comment":
            return " "
        case "word" | "quoted":
            return token.group()
        case "ambiguous":
            return "?…"
        case _:
            return "?"


def _end_of_comment(statement: str, position: int) -> int:
    """Return the end of the comment that began before `position`; PostgreSQL's comments nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(statement, position):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(statement)
