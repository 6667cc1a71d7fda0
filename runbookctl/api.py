"""Calls the remediator's API with an operator's token."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from runbookctl.errors import RemediatorRefused, WrongUsage
from runbookd.inventory import Secret, SecretError

CONNECT_SECONDS = 5.0


class RemediatorApi:
    """The API at an address, with the operator's token from a file."""

    def __init__(self, url: str, token_file: Path | None) -> None:
        self._url = url
        self._token = Secret("--token-file", None, token_file)

    def call(self, method: str, path: str, query: Mapping[str, str | None] | None, seconds: float, **body: Any) -> Any:
        """Return the decoded answer. Raises RemediatorRefused."""
        return asyncio.run(self._call(method, path, query, seconds, **body))

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | None] | None,
        seconds: float,
        **body: Any,
    ) -> Any:
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        params = {name: value for name, value in (query or {}).items() if value is not None}
        if not _is_address(self._url):
            raise WrongUsage(f"--url: {self._url!r} is not an address; write it like http://127.0.0.1:9851")
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    method, self._address(path), params=params, headers=self._headers(), **body
                ) as response,
            ):
                content = await response.read()
                if response.status != 200:
                    raise self._error_from(response.status, content)
                return self._json(content)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise RemediatorRefused(
                f"{self._url} does not answer: {error or 'timed out'}; check --url (REMEDIATOR_URL)"
            ) from None

    def _error_from(self, status: int, content: bytes) -> RemediatorRefused:
        """Return the remediator's own error; an answer without one is not the remediator's."""
        payload = self._json(content)
        if not isinstance(payload, dict) or not isinstance(payload.get("error"), str):
            return RemediatorRefused(self._not_the_remediator(f"it returned HTTP {status}"))
        return WrongUsage(payload["error"]) if status == 400 else RemediatorRefused(payload["error"])

    def _json(self, content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError:
            raise RemediatorRefused(self._not_the_remediator("its answer is not JSON")) from None

    def _not_the_remediator(self, problem: str) -> str:
        return f"{self._url} is not a remediator's API: {problem}; check --url (REMEDIATOR_URL)"

    def _address(self, path: str) -> URL:
        """Return the URL of `path` as written: a name like `..` in it must not change the path."""
        return URL(str(URL(self._url)).rstrip("/") + path, encoded=True)

    def _headers(self) -> dict[str, str]:
        if not self._token.configured:
            raise WrongUsage("no operator's token; set --token-file (OPERATOR_TOKEN_FILE)")
        try:
            return {"Authorization": f"Bearer {self._token.read()}"}
        except SecretError as error:
            raise WrongUsage(str(error)) from None


def _is_address(url: str) -> bool:
    try:
        parsed = URL(url)
    except ValueError:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)
