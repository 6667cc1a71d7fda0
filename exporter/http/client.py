"""One probe of an HTTP endpoint: a GET request, its duration and its status."""

from time import perf_counter

import aiohttp

from exporter.collector import Client, Reading
from exporter.http.metrics import DURATION, STATUS
from runbookd.addresses.http import HttpAddress
from runbookd.http_errors import http_error_text
from runbookd.service import VERSION

# Enough to see that a body arrives; the probe does not wait for an endless stream.
BODY_BYTES = 65_536
_HEADERS = {"User-Agent": f"runbook-exporter/{VERSION}"}
# The limits of browsers, roughly: a page that they show is not down.
MOST_REDIRECTS = 20
_HEADER_BYTES = 256 * 1024


class HttpClient(Client):
    """Probes with a new connection per scrape, as a new visitor would."""

    def __init__(self, address: HttpAddress, status: int) -> None:
        self._address, self._status = address, status

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - a probe has a duration and no age
        """Send one request."""
        start = perf_counter()
        status, problem = await self._probe()
        samples = (DURATION(perf_counter() - start), STATUS(status))
        return Reading(samples, round_trips=1, problem=problem)

    async def close(self) -> None:
        """Do nothing: each probe closes its own session."""

    async def _probe(self) -> tuple[int, str]:
        """Return the status and why it counts as down; status 0 if there is no response."""
        follow = not 300 <= self._status < 400
        try:
            async with (
                _new_session() as session,
                session.get(self._address.url, allow_redirects=follow, max_redirects=MOST_REDIRECTS) as response,
            ):
                await response.content.read(BODY_BYTES)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return 0, f"{self._address.shown}: {http_error_text(error)}"
        return response.status, self._status_problem(response.status)

    def _status_problem(self, status: int) -> str:
        if status == self._status:
            return ""
        return f"{self._address.shown}: status {status}, not {self._status}; check the endpoint, or correct `status`"


def _new_session() -> aiohttp.ClientSession:
    """Return a session without the cookies of earlier probes."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the scraper's deadline holds
        headers=_HEADERS,
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # cookies of IP addresses, too
        auto_decompress=False,  # the content does not count
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
    )
