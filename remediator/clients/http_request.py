"""Makes one bounded HTTP request: no redirects, no proxy of the environment, no cookies, no second try."""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from remediator.model.errors import RemediatorError
from runbookd.network_errors import network_error_text

CONNECT_SECONDS = 5.0


class RequestNotSent(RemediatorError):
    """No connection came about, so the server has not seen the request."""


class RequestUnanswered(RemediatorError):
    """The request may have been sent, but no status came back."""


@dataclass(frozen=True)
class Answer:
    """The status, and the start of the body as far as it was wanted and arrived; `is_cut` if more would follow."""

    status: int
    body: bytes
    is_cut: bool


async def send_request(
    method: str, url: str, headers: Mapping[str, str], *, json: Any, seconds: float, max_bytes: int
) -> Answer:
    """Send one request, and read at most `max_bytes` of the answer.

    Raises:
        RequestNotSent: the host is unknown or refuses, or its certificate is not valid.
        RequestUnanswered: the time is over, or the connection ended before a status.
    """
    limits = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_SECONDS))
    try:
        async with (
            _session(limits) as session,
            session.request(
                method,
                URL(url, encoded=True),  # exactly as written: nothing is decoded, encoded or shortened again
                headers={"Accept-Encoding": "identity", "User-Agent": "runbookd", **headers},
                json=json,
                allow_redirects=False,
            ) as response,
        ):
            body = await _read_start(response, max_bytes)
            response.close()  # the rest may never end
            return Answer(response.status, body[:max_bytes], len(body) > max_bytes)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
        raise RequestNotSent(_cause(error)) from None
    except TimeoutError:
        raise RequestUnanswered(f"no answer within {seconds:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise RequestUnanswered(f"the connection ended without an answer ({type(error).__name__})") from None


def _session(timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=timeout,
        trust_env=False,
        auto_decompress=False,  # a small body could become a huge one
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=1, force_close=True),
    )


async def _read_start(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return up to one byte more than `max_bytes`; an answer that breaks off keeps its status."""
    body = b""
    with suppress(aiohttp.ClientError, TimeoutError):
        while max_bytes and len(body) <= max_bytes and (chunk := await response.content.read(max_bytes + 1)):
            body += chunk
    return body


def _cause(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
        return f"its certificate is not valid: {reason}; renew it, or correct the host name"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        reason = getattr(error.os_error, "reason", "") if isinstance(error.os_error, ssl.SSLError) else ""
        return f"no TLS connection: {reason or 'the server does not speak TLS'}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return network_error_text(error.os_error)
    return "the address is not usable" if isinstance(error, aiohttp.InvalidURL) else "it does not accept a connection"
