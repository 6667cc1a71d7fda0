"""Range queries of Prometheus, page by page: it returns at most 11,000 points of a series at once."""

import asyncio
import json
import math
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from remediator.model.target import sanitize
from runbookctl.errors import PrometheusSilent, WrongUsage
from runbookd.addresses import AddressError
from runbookd.addresses.http import read_http_address
from runbookd.http_errors import http_error_text
from runbookd.inventory import Secret, SecretError

MAX_POINTS = 10_000  # per series and page; Prometheus refuses more than 11,000
MAX_SERIES = 5_000
MAX_SAMPLES = 500_000  # of all series of a page
MAX_PAGES = 2_000
MAX_WARNINGS = 3
MAX_BODY = 64 * 1024 * 1024
SECONDS = 60.0  # per page
RANGE, SERIES = "/api/v1/query_range", "/api/v1/series"
CREDENTIAL = "set --prometheus-token-file, or --prometheus-user with --prometheus-password-file"


@dataclass(frozen=True)
class Access:
    """The address of a Prometheus, and the files that open it."""

    url: str
    token_file: Path | None = None
    user: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True)
class PastSeries:
    """The labels of a series, and its samples in one page: the second of each, and its value."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


class PastPrometheus:
    """A Prometheus that is asked about the past."""

    def __init__(self, session: aiohttp.ClientSession, url: str, shown: str) -> None:
        self._session, self._url, self.shown = session, url.rstrip("/"), shown
        self.warnings: list[str] = []
        """The different warnings of its answers, such as a store that did not answer; at most MAX_WARNINGS."""

    async def pages(
        self, query: str, since: datetime, until: datetime, step: timedelta, series: int = 1
    ) -> AsyncIterator[Sequence[PastSeries]]:
        """Yield the series of `query` page by page, oldest first; `series` is the number that is expected.

        Raises:
            PrometheusSilent: it does not answer, or refuses the query.
        """
        points = max(1, min(MAX_POINTS, MAX_SAMPLES // max(series, 1)))
        steps = int((until - since) / step) + 1
        for at in range(0, steps, points):
            start, end = since + at * step, since + min(at + points - 1, steps - 1) * step
            window = {"start": start.timestamp(), "end": end.timestamp(), "step": step.total_seconds()}
            try:
                answer = await self._post(RANGE, {"query": query, **{name: str(each) for name, each in window.items()}})
            except PrometheusSilent as error:
                number = f"page {at // points + 1} of {math.ceil(steps / points)}"
                raise PrometheusSilent(f"{error} (while reading {number} of {query})") from None
            yield self._matrix(answer["result"])

    async def count_series(self, selector: str, since: datetime, until: datetime) -> int:
        """Return how many series of `selector` have a sample between the two moments, at most MAX_SERIES + 1."""
        return len(await self._labels(selector, since, until))

    async def alert_names(self, selector: str, since: datetime, until: datetime) -> Sequence[str]:
        """Return the alerts among the series of `selector` between the two moments, by name."""
        found = await self._labels(selector, since, until)
        return sorted({str(each["alertname"]) for each in found if each.get("alertname")})

    async def _labels(self, selector: str, since: datetime, until: datetime) -> Sequence[Mapping[str, Any]]:
        window = {"start": str(since.timestamp()), "end": str(until.timestamp()), "limit": str(MAX_SERIES + 1)}
        found: Sequence[Mapping[str, Any]] = await self._post(SERIES, {"match[]": selector, **window})
        return found

    async def _post(self, path: str, form: Mapping[str, str]) -> Any:
        try:
            async with self._session.post(f"{self._url}{path}", data=dict(form), allow_redirects=False) as response:
                body = await response.content.read(MAX_BODY + 1)
                while not response.content.at_eof() and len(body) <= MAX_BODY:
                    body += await response.content.read(MAX_BODY + 1 - len(body))
                status = response.status
        except (aiohttp.ClientError, OSError) as error:
            raise self._silent(f"does not answer: {http_error_text(error)}") from None
        return self._data(status, body)

    def _data(self, status: int, body: bytes) -> Any:
        if status in (401, 403):
            raise self._silent(f"refuses the credential (status {status}); {CREDENTIAL}")
        if len(body) > MAX_BODY:
            raise self._silent("answers with more than 64 MiB; set a larger --step or a shorter --since")
        try:
            answer = json.loads(body)
            if answer["status"] == "success":
                data = answer["data"]
                self._note(answer.get("warnings") or ())
                return {"result": data["result"]} if isinstance(data, dict) else list(data)
            reason = " ".join(str(answer["error"]).split())[:300]
        except (ValueError, KeyError, TypeError):
            if status >= 500:
                raise self._silent(f"fails with status {status}; look at its log, then run this again") from None
            raise self._silent(f"does not answer as Prometheus does (status {status}); check --prometheus") from None
        raise self._silent(f"refuses the query: {reason}")

    def _matrix(self, result: Sequence[Any]) -> Sequence[PastSeries]:
        try:
            return [_series(each) for each in result]
        except (ValueError, KeyError, TypeError):
            raise self._silent("does not answer as Prometheus does; check --prometheus") from None

    def _note(self, warnings: Sequence[object]) -> None:
        new = dict.fromkeys(sanitize(str(each)) for each in warnings)
        self.warnings = list(dict.fromkeys([*self.warnings, *new]))[:MAX_WARNINGS]

    def _silent(self, reason: str) -> PrometheusSilent:
        return PrometheusSilent(f"Prometheus at {self.shown} {reason}")


@asynccontextmanager
async def open_prometheus(access: Access) -> AsyncIterator[PastPrometheus]:
    """Open a session with what `access` names; no request is sent yet.

    Raises:
        WrongUsage: the address or a file cannot be used.
    """
    try:
        address = read_http_address(access.url)
    except AddressError as error:
        raise WrongUsage(f"--prometheus: {error} (PROMETHEUS_URL)") from None
    headers = _headers(access)
    connector = aiohttp.TCPConnector(ssl=_tls(access.ca_file)) if access.ca_file is not None else None
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as session:
        yield PastPrometheus(session, address.url, address.shown)


def _headers(access: Access) -> dict[str, str]:
    if access.token_file is not None:
        if access.user or access.password_file:
            raise WrongUsage("--prometheus-token-file and --prometheus-user are both set; remove one")
        return {"Authorization": f"Bearer {_secret('--prometheus-token-file', access.token_file)}"}
    if bool(access.user) != bool(access.password_file):
        raise WrongUsage("--prometheus-user and --prometheus-password-file belong together; set both")
    if access.password_file is None:
        return {}
    password = _secret("--prometheus-password-file", access.password_file)
    return {"Authorization": aiohttp.encode_basic_auth(access.user, password)}


def _secret(flag: str, file: Path) -> str:
    try:
        return Secret(flag, None, file).read()
    except SecretError as error:
        raise WrongUsage(str(error)) from None


def _tls(file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it holds no certificate"
        raise WrongUsage(f"--prometheus-ca-file {file}: {reason}; name a file with certificates in PEM") from None


def _series(raw: Mapping[str, Any]) -> PastSeries:
    return PastSeries(raw["metric"], [(float(at), float(value)) for at, value in raw["values"]])


def moment_of(seconds: float) -> datetime:
    """Return the moment of a sample."""
    return datetime.fromtimestamp(seconds, UTC)


def run_reading(reading: Any) -> Any:
    """Run a reading of Prometheus to its end."""
    return asyncio.run(reading)
