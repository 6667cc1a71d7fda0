"""Sends the request of an endpoint once, and reads its answer within the limits of the inventory."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from runbookd.endpoints.body import read_body
from runbookd.endpoints.request import BROWSER_REDIRECTS, HEADER_BYTES, HEADERS, EndpointRequest


@dataclass(frozen=True)
class Fetched:
    """An answer; `body` is None if its contents do not count. It may hold secrets, so it is never shown."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


async def fetch(request: EndpointRequest, tls: ssl.SSLContext, seconds: float | None) -> Fetched:
    """Return the answer, over a connection of its own.

    Raises:
        BodyProblem: the body is too large, or compressed in a way that is not read here.
        aiohttp.ClientError, OSError, ValueError, TimeoutError: there is no answer.
    """
    target = request.target
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, force_close=True),
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=None),
            headers=request.headers,
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # cookies of IP addresses, too
            auto_decompress=False,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
        ) as session,
        session.request(
            target.method,
            request.address.url,
            data=request.body,
            allow_redirects=target.follows,
            max_redirects=BROWSER_REDIRECTS,
            server_hostname=target.tls.server_name,
        ) as response,
    ):
        body = None
        if target.reads_the_body:
            encoding = response.headers.get("Content-Encoding", "")
            body = await read_body(response.content.iter_any(), encoding, target.body_limit)
        return Fetched(response.status, response.headers, body)
