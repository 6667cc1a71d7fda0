"""One probe of an HTTP endpoint: a GET request, its duration and its status."""

from time import perf_counter

import aiohttp

from exporter.collector import Client, Reading
from exporter.http.metrics import DURATION, STATUS
from runbookd.inventory import HttpTarget
from runbookd.service import VERSION

# Enough to see that a body arrives; the probe does not wait for an endless stream.
BODY_BYTES = 65_536
_HEADERS = {"User-Agent": f"runbook-exporter/{VERSION}"}


class HttpClient(Client):
    """Probes with a new connection per scrape, as a new visitor would."""

    def __init__(self, target: HttpTarget) -> None:
        self._target = target
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the scraper's deadline holds
            headers=_HEADERS,
        )

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - a probe has a duration and no age
        """Send one request."""
        start = perf_counter()
        status, problem = await self._probe()
        samples = (DURATION(perf_counter() - start), STATUS(status))
        return Reading(samples, round_trips=1, problem=problem)

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._session.close()

    async def _probe(self) -> tuple[int, str]:
        """Return the status and why it counts as down; status 0 if there is no response."""
        expected = self._target.status
        try:
            follow = not 300 <= expected < 400
            async with self._session.get(self._target.url, allow_redirects=follow) as response:
                await response.content.read(BODY_BYTES)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return 0, str(error) or type(error).__name__
        return response.status, "" if response.status == expected else f"status {response.status}, not {expected}"
