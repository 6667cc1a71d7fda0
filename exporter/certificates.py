"""The certificates that a server sent in a TLS handshake.

Before Python 3.13 the chain is available by a private method alone; without it only the server's own certificate
counts.
"""

import ssl
from collections.abc import Iterator
from typing import Any


def earliest_expiry(tls: ssl.SSLObject) -> float | None:
    """Return the earliest end of validity of the certificates that a server sent, in seconds since 1970."""
    return min(_expiries(tls), default=None)


def expiry_of(transport: Any) -> float | None:
    """Return the same for a connection's transport; None for one without TLS."""
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    return earliest_expiry(tls) if tls is not None else None


def _expiries(tls: ssl.SSLObject) -> Iterator[float]:
    for certificate in _chain(tls):
        if "notAfter" in certificate:
            yield ssl.cert_time_to_seconds(certificate["notAfter"])


def _chain(tls: ssl.SSLObject) -> list[dict[str, Any]]:
    try:
        return [each.get_info() for each in getattr(tls, "_sslobj").get_unverified_chain()]  # noqa: B009 - private
    except (AttributeError, TypeError, ValueError):
        pass
    try:
        return [dict(tls.getpeercert() or {})]
    except ValueError:  # the handshake failed before the certificates came
        return []
