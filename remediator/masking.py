"""Masks literals of statements, secrets, email and IP addresses in texts."""

import re
from urllib.parse import quote

from remediator.sql_tokens import Token, tokenize

MAX_STATEMENT = 300

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
    return "".join(map(_masked_token, tokenize(statement)))


def _masked_token(token: Token) -> str:
    match token.kind:
        case "comment":
            return " "
        case "word" | "quoted" | "other":
            return token.text
        case "ambiguous":
            return "?…"
        case _:
            return "?"
