"""Reads addresses as their users write them, once for exporter, remediator, doctor and dump.

A parameter is passed on, translated or dropped; an unknown one is refused by name. No message repeats a part of the
address, because a badly split one shows the password.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

_ESCAPE = "and special characters of the password as %XX, such as %2F for a slash"
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,40}")
_logged: set[tuple[str, tuple[str, ...]]] = set()
log = logging.getLogger(__name__)


class AddressError(ValueError):
    """The address cannot be used; the message names the part at fault without its value."""


class MalformedAddress(AddressError):
    """The text is not an address of this kind at all."""


@dataclass(frozen=True)
class SplitAddress:
    """An address in its parts; `parameters` are those of its query, in order."""

    parts: SplitResult
    parameters: Sequence[tuple[str, str]]


def split_address(text: str, schemes: Iterable[str], example: str) -> SplitAddress:
    """Return the parts of an address.

    Raises:
        AddressError: it has another scheme, a stray # or an invalid port.
    """
    refuse_quotes(text)
    if any(character.isspace() or not character.isprintable() for character in text):
        raise AddressError(f"a space or control character is in the address; write it as {example}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise MalformedAddress(f"not an address; write it as {example}, {_ESCAPE}") from None
    if parts.scheme not in schemes:
        raise MalformedAddress(f"not an address; write it as {example}")
    if "#" in text:
        raise AddressError("the address has a #; write a # of the password as %23")
    if "@" in parts.query and "@" not in parts.netloc:  # a slash or question mark in the password
        raise MalformedAddress(f"not an address; write it as {example}, {_ESCAPE}")
    if port == 0:
        raise AddressError("the port is 0; correct it")
    return SplitAddress(parts, parse_qsl(parts.query, keep_blank_values=True))


def refuse_quotes(text: str) -> None:
    """Raise AddressError if the address stands in quotes, as Docker takes them over from an .env file."""
    if text[:1] in ("'", '"') and text[:1] == text[-1:]:
        raise AddressError("the address stands in quotes, which are a part of it here; remove them")


def hide_passwords(text: str, *passwords: str) -> str:
    """Return a server's answer without these passwords: a broken server or proxy may repeat what it got.

    A shorter password than four characters would remove letters from every word.
    """
    for password in passwords:
        for written in (password, quote(password, safe=""), quote(password)) if len(password) >= 4 else ():
            text = text.replace(written, "***")
    return text


def unknown_parameter(name: str) -> AddressError:
    """Return the error about a parameter; it quotes a word only, because anything else may belong to a password."""
    shown = f"the parameter {name!r}" if _WORD.fullmatch(name) else "a parameter"
    return AddressError(f"{shown} is unknown; remove it, or correct its name")


def log_dropped(key: str, names: Iterable[str]) -> None:
    """Log once which parameters of the address under `key` are ignored."""
    ignored = tuple(sorted(names))
    if ignored and (key, ignored) not in _logged:
        _logged.add((key, ignored))
        log.info("%s: ignored parameters that only other clients use: %s", key, ", ".join(ignored))
