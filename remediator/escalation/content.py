"""A message as structure, made once and rendered per service: what happened, what to do, and the evidence."""

import json
import re
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from remediator.ledger.outbox import Draft
from remediator.masking import mask_credentials, mask_url_credentials
from remediator.model.target import UNPRINTABLE

MAX_TITLE = 400  # characters
MAX_LINE = 2_500
MAX_LINES = 60  # lines per part
_USER = re.compile(r"://[^/\s@]*@")
_URL = re.compile(r"https?://[^\s<>|\"'`\\^{}]+")


class Severity(StrEnum):
    """How urgent a message is, from the least to the most."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Its place in the order, from 0."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Content:
    """One message. Each line is a single printable line without credentials, whatever it was made of."""

    title: str
    severity: Severity
    facts: tuple[str, ...] = ()  # what happened and why
    advice: tuple[str, ...] = ()  # what to do next, with commands to copy
    links: tuple[tuple[str, str], ...] = ()  # names with addresses
    plan: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    diagnostics: tuple[str, ...] = ()  # read when the message is sent
    more: str = ""  # the command that shows all of it
    key: str = ""  # equal in each copy of the message
    incident: str = ""  # equal in all messages of the episode
    is_over: bool = False  # whether this message ends the incident

    def __post_init__(self) -> None:
        self._set("title", _clean(mask_url_credentials(self.title), MAX_TITLE))
        self._set("severity", Severity(self.severity))
        for name in ("facts", "plan", "evidence", "diagnostics"):
            self._set(name, tuple(mask_credentials(line) for line in _clean_lines(getattr(self, name))))
        # A command must stay as it is: a queue may be named `token:refresh`.
        self._set("advice", tuple(mask_url_credentials(line) for line in _clean_lines(self.advice)))
        links = ((_clean(name), _USER.sub("://<credentials>@", _clean(url))) for name, url in self.links)
        self._set("links", tuple(links))
        for name in ("more", "key", "incident"):
            self._set(name, _clean(getattr(self, name)))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def web_links(self) -> tuple[tuple[str, str], ...]:
        """The links that are web addresses. An `@` in one could mention a group."""
        return tuple((name, url.replace("@", "%40")) for name, url in self.links if _URL.fullmatch(url))

    @property
    def other_links(self) -> tuple[str, ...]:
        """The links that are not, as lines of text."""
        return tuple(f"{name}: {url}" for name, url in self.links if not _URL.fullmatch(url))

    def draft(self) -> Draft:
        """Return it as the outbox stores it."""
        stored = {name: value for name, value in asdict(self).items() if name != "title" and value}
        return Draft(self.title, json.dumps(stored, ensure_ascii=False), self.severity)


def from_stored(title: str, text: str) -> Content:
    """Return the content of a stored message. Releases before 0.2.0 stored a plain text."""
    try:
        stored = json.loads(text)
        known = {field.name for field in fields(Content)}
        return Content(title=title, **{name: _as_tuple(value) for name, value in stored.items() if name in known})
    except (ValueError, TypeError, AttributeError):
        return Content(title, Severity.WARNING, facts=tuple(text.splitlines()))


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(each) for each in value) if isinstance(value, list) else value


def _clean_lines(lines: tuple[str, ...]) -> tuple[str, ...]:
    cleaned = tuple(_clean(line) for line in lines[:MAX_LINES])
    return cleaned if len(lines) <= MAX_LINES else (*cleaned, f"… and {len(lines) - MAX_LINES} more lines")


def _clean(text: str, limit: int = MAX_LINE) -> str:
    shown = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return UNPRINTABLE.sub("\ufffd", shown)
