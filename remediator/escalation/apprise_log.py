"""Apprise's log, which has the answers of services. It is never written, as it shows addresses."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import urllib3

_lines: ContextVar[list[str] | None] = ContextVar("lines", default=None)


class _Capture(logging.Handler):
    """Keeps the lines for the thread that sends; every other line is dropped."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        lines = _lines.get()
        if lines is not None:
            lines.append(record.getMessage())


def silence() -> None:
    """Keep the lines of Apprise and of its HTTP client out of every log, whatever its level."""
    for name in ("apprise", "urllib3", "requests", "requests_oauthlib"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers = [_Capture() if name == "apprise" else logging.NullHandler()]
    logging.getLogger("apprise").setLevel(logging.DEBUG)  # it logs what a service answered only at this level
    urllib3.disable_warnings()  # they name the host


@contextmanager
def captured_lines() -> Iterator[list[str]]:
    """Yield the list of the lines that Apprise logs in this thread."""
    token = _lines.set([])
    try:
        lines = _lines.get()
        assert lines is not None  # noqa: S101 - set above
        yield lines
    finally:
        _lines.reset(token)
