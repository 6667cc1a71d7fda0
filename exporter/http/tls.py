"""TLS contexts that tell a probe about its handshakes: when each began, and the certificates of the server."""

import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

from exporter.certificates import earliest_expiry
from runbookd.endpoints.request import trust
from runbookd.inventory.http import HttpTarget, ProbeTls


@dataclass
class Handshake:
    """The last handshake of one probe: its start, and the connection that it made."""

    begun: float | None = None
    tls: ssl.SSLObject | None = None

    @property
    def earliest_expiry(self) -> float | None:
        """The earliest end of validity of the certificates that the server sent, in seconds since 1970."""
        return earliest_expiry(self.tls) if self.tls is not None else None

    @property
    def version(self) -> str | None:
        """The version of TLS, as blackbox_exporter writes it: `TLS 1.3`."""
        found = self.tls.version() if self.tls is not None else None
        return found.replace("TLSv", "TLS ") if found is not None else None


CURRENT: ContextVar[Handshake | None] = ContextVar("handshake", default=None)
"""The handshake of the probe that this task makes; the contexts are shared, because each holds all authorities."""


class WatchedContext(ssl.SSLContext):
    """A context for the connections of all probes with the same trust."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a handshake: asyncio calls it when the connection stands."""
        begun, tls = perf_counter(), super().wrap_bio(*args, **kwargs)
        if (handshake := CURRENT.get()) is not None:
            handshake.begun, handshake.tls = begun, tls
        return tls


def context_for(target: HttpTarget) -> WatchedContext:
    """Return the context of the certificates that a target accepts; a changed file is read again.

    Raises:
        SecretError: `tls.ca_file` cannot be read.
    """
    tls = target.tls
    return _context(tls.insecure_skip_verify, tls.ca_file, _stamp(tls.ca_file))


@lru_cache(maxsize=16)
def _context(insecure: bool, ca_file: Path | None, _stamp: int) -> WatchedContext:
    context = WatchedContext(ssl.PROTOCOL_TLS_CLIENT)
    trust(context, ProbeTls(insecure_skip_verify=insecure, ca_file=ca_file))
    return context


def _stamp(file: Path | None) -> int:
    try:
        return 0 if file is None else file.stat().st_mtime_ns
    except OSError:
        return 0
