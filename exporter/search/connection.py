"""Requests to a search cluster over kept connections: each returns JSON, or one clear error without secrets."""

import asyncio
import json
import ssl
from typing import Any, Self

import aiohttp

from exporter.errors import TargetMisconfigured, TargetRefused, TargetUnavailable
from runbookd.addresses import AddressError
from runbookd.addresses.http import HttpAddress, read_http_address
from runbookd.endpoints.body import BodyProblem, read_body
from runbookd.endpoints.request import HEADER_BYTES, HEADERS, basic_header, trust
from runbookd.http_errors import http_error_text
from runbookd.inventory import SecretError
from runbookd.inventory.search import SearchTarget
from runbookd.service import VERSION

MAX_BYTES = 32 * 2**20  # the statistics of 10,000 indices
ACCEPTED = (200, 404, 408)  # an alias that is missing, a health that did not become better in time
_LOGIN = "check basic_auth or api_key_file, and the rights `monitor` and `view_index_metadata`"
_REDIRECT = "a cluster does not redirect: write the address of its root"
_LOG = "check the cluster's log"


class SearchConnection:
    """The connections to one cluster."""

    def __init__(self, address: HttpAddress, session: aiohttp.ClientSession) -> None:
        self._address, self._session = address, session

    @classmethod
    async def connect(cls, target: SearchTarget) -> Self:
        """Read the secrets and prepare the connections; the first request opens one.

        Raises:
            TargetMisconfigured: a secret cannot be read, or the address is wrong.
        """
        try:
            address = read_http_address(target.url_secret().read())
            headers = {"User-Agent": f"runbook-exporter/{VERSION}", "Accept-Encoding": "gzip", **_login(target)}
            tls = await asyncio.to_thread(trust, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), target.tls)
        except SecretError as error:
            raise TargetMisconfigured(str(error)) from None
        except AddressError as error:
            raise TargetMisconfigured(f"url: {error}") from None
        connector = aiohttp.TCPConnector(ssl=tls, limit=2)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=None)  # the scraper's deadline holds
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            headers=headers,
            auto_decompress=False,
            max_field_size=HEADER_BYTES,  # a cluster warns of each deprecated setting in a header
            max_headers=HEADERS,
        )
        return cls(address, session)

    async def get(self, path: str) -> Any:
        """Return the JSON at a path below the address.

        Raises:
            TargetUnavailable: nothing answers.
            TargetRefused: the answer is an error, no JSON, or too large.
        """
        url = self._address.url.rstrip("/") + path
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status not in ACCEPTED:
                    raise TargetRefused(self._status_text(response.status))
                encoding = response.headers.get("Content-Encoding", "")
                return _parse(await read_body(response.content.iter_any(), encoding, MAX_BYTES, "the exporter reads"))
        except BodyProblem as error:
            raise TargetRefused(f"{self._address.shown}: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise TargetUnavailable(f"{self._address.shown}: {http_error_text(error)}") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def _status_text(self, status: int) -> str:
        remedy = _LOGIN if status in (401, 403) else _REDIRECT if 300 <= status < 400 else _LOG
        return f"{self._address.shown}: status {status}; {remedy}"


def _login(target: SearchTarget) -> dict[str, str]:
    if target.basic_auth is not None:
        return {"Authorization": basic_header(target.basic_auth)}
    if target.api_key_file is not None:
        return {"Authorization": f"ApiKey {target.api_key_secret().read()}"}
    return {}


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise TargetRefused("the answer is no JSON; check that the address is that of a search cluster") from None
