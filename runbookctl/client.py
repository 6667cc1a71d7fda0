"""The remediator as the commands see it. The HTTP client is loaded for a command that calls the remediator."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runbookctl.errors import RemediatorRefused, WrongUsage

__all__ = ["RemediatorClient", "RemediatorRefused", "WrongUsage"]
# A simulated delivery plans its targets one after another, and each plan may use its full timeout.
TIMEOUT_SECONDS = 90.0


class RemediatorClient:
    """A remediator's address, with an operator's token for it."""

    def __init__(self, url: str, token_file: str | None) -> None:
        self._url = url.rstrip("/")
        self._token_file = Path(token_file) if token_file else None

    def get(self, path: str, query: Mapping[str, str | None] | None = None, seconds: float = TIMEOUT_SECONDS) -> Any:
        """Return the decoded answer. Like every method here, raises RemediatorRefused."""
        return self._call("GET", path, query, seconds)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send `body` as JSON, and return the decoded answer."""
        return self._call("POST", path, json=_readable(body))

    def post_file(self, path: str, content: bytes) -> Any:
        """Send `content` unchanged, and return the decoded answer."""
        return self._call("POST", path, data=content)

    def delete(self, path: str, query: Mapping[str, str | None] | None = None) -> Any:
        """Delete what `path` names, and return the decoded answer."""
        return self._call("DELETE", path, query)

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | None] | None = None,
        seconds: float = TIMEOUT_SECONDS,
        **body: Any,
    ) -> Any:
        from runbookctl.api import RemediatorApi

        return RemediatorApi(self._url, self._token_file).call(method, path, _readable(query), seconds, **body)


def _readable(value: Any) -> Any:
    """Return `value` with its texts as UTF-8, and a sign for other bytes: no pause may fail for them."""
    if isinstance(value, Mapping):
        return {name: _readable(each) for name, each in value.items()}
    return value.encode(errors="surrogateescape").decode(errors="replace") if isinstance(value, str) else value
