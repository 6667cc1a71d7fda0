"""Calls the remediator's API with an operator's token."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
from yarl import URL

from runbookctl.errors import RemediatorRefused, WrongUsage
from runbookd.addresses import AddressError
from runbookd.addresses.http import read_http_address
from runbookd.http_errors import http_error_text
from runbookd.inventory import Secret, SecretError
from runbookd.network_errors import REMEDY

CONNECT_SECONDS = 5.0


def _silence_text(error: Exception, shown: str) -> str:
    """Return cause and one remedy, without the address, which is `shown` already."""
    text = http_error_text(error).removeprefix(f"{shown.partition('://')[2]}: ")
    if text.endswith(REMEDY):
        return f"{text.removesuffix(REMEDY)}check --url (REMEDIATOR_URL), and that the remediator runs there"
    return f"{text} (--url, REMEDIATOR_URL)"


class Answer(dict[str, Any]):
    """An object of an answer; without an expected key it is another service's, or of another release."""

    def __missing__(self, key: str) -> NoReturn:
        raise RemediatorRefused(
            f"the answer has no {key!r}, so it is not that of a remediator of this release;"
            " check --url (REMEDIATOR_URL), and compare the versions"
        )


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
        shown = self._check_address()
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    method, self._address(path), params=params, headers=self._headers(), **body
                ) as response,
            ):
                content = await response.read()
                if response.status not in (200, 201):
                    raise self._error_from(response.status, content)
                return self._json(content)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RemediatorRefused(f"{shown} does not answer: {_silence_text(error, shown)}") from None

    def _check_address(self) -> str:
        """Return the address as it is shown; it has no login, because requests carry the token."""
        try:
            address = read_http_address(self._url)
        except AddressError:
            raise WrongUsage("--url: not an address; write it like http://127.0.0.1:9851") from None
        if URL(self._url).user is not None or URL(self._url).password is not None:
            raise WrongUsage("--url: it has a login; remove it and set --token-file (OPERATOR_TOKEN_FILE)")
        return address.shown.rstrip("/")

    def _error_from(self, status: int, content: bytes) -> RemediatorRefused:
        """Return the remediator's own error; an answer without one is not the remediator's."""
        payload = self._json(content)
        if not isinstance(payload, dict) or not isinstance(payload.get("error"), str):
            return RemediatorRefused(self._not_the_remediator(f"it returned HTTP {status}"))
        return WrongUsage(payload["error"]) if status == 400 else RemediatorRefused(payload["error"])

    def _json(self, content: bytes) -> Any:
        try:
            return json.loads(content, object_hook=Answer)
        except ValueError:
            raise RemediatorRefused(self._not_the_remediator("its answer is not JSON")) from None

    def _not_the_remediator(self, problem: str) -> str:
        return f"{self._check_address()} is not a remediator's API: {problem}; check --url (REMEDIATOR_URL)"

    def _address(self, path: str) -> URL:
        """Return the URL of `path` as written: a name like `..` in it must not change the path."""
        return URL(str(URL(self._url)).rstrip("/") + path, encoded=True)

    def _headers(self) -> dict[str, str]:
        if not self._token.configured:
            raise WrongUsage("no operator's token; set --token-file (OPERATOR_TOKEN_FILE)")
        try:
            token = self._token.read()
        except SecretError as error:
            raise WrongUsage(str(error)) from None
        if not token.isprintable():
            raise WrongUsage(
                "--token-file (OPERATOR_TOKEN_FILE): the file holds more than a token; it must be one line"
            )
        return {"Authorization": f"Bearer {token}"}
