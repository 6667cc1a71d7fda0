"""Shows text that others wrote harmless: no character of it is invisible, turns the line around or fills the page."""

import re
from urllib.parse import urlsplit

from markupsafe import Markup, escape

MAX_SHOWN = 300  # characters of one text in a page, unless the template says otherwise
# Control and formatting characters: they hide text, or show it in another order than it is.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# Marks that are stacked upon one letter would cover the lines around it.
_MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{2})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)


def make_visible(value: object) -> object:
    """Return a text with its hidden characters named; any other value as it is.

    Every output of a template passes it.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _MARKS.sub("\\1…", _HIDDEN.sub(_name, value))


def untrusted(value: object, limit: int = MAX_SHOWN) -> Markup:
    """Return text from outside as an isolated element, cut with a note after `limit` characters."""
    text = value if isinstance(value, str) else str(value)
    shown = escape(str(make_visible(text[:limit].replace("\n", "↵").replace("\t", " "))))
    isolated = Markup("<bdi>{}</bdi>").format(shown)
    if len(text) <= limit:
        return isolated
    return isolated + Markup(' <span class="cut">… cut here, {} characters in all</span>').format(f"{len(text):,}")


def web_link(value: object) -> str | None:
    """Return an address that a page may link to, or None: `javascript:` and the like must stay text."""
    text = str(value or "")
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in ("http", "https") and parts.netloc and len(text) <= 2_000 else None


def _name(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"
