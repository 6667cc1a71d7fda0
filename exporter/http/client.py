"""One probe of an HTTP endpoint: the request of the inventory, its phases, and what its answer says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, AF_UNSPEC
from time import perf_counter

import aiohttp

from exporter.collector import Client, Reading
from exporter.http import metrics
from exporter.http.phases import Phases
from exporter.http.tls import CURRENT, Handshake, WatchedContext
from exporter.metric import Sample
from runbookd.endpoints.body import BodyProblem, read_body
from runbookd.endpoints.judgement import Fault, faults_of, version_of
from runbookd.endpoints.request import BROWSER_REDIRECTS, HEADER_BYTES, HEADERS, EndpointRequest
from runbookd.http_errors import http_error_text
from runbookd.inventory.http import IpVersion

# Enough to see that a body arrives, where its contents do not count: the probe does not wait for an endless stream.
BODY_BYTES = 65_536
_FAMILIES = {IpVersion.ANY: AF_UNSPEC, IpVersion.V4: AF_INET, IpVersion.V6: AF_INET6}


@dataclass(frozen=True)
class _Answer:
    """An answer, and why it is not good."""

    status: int
    samples: Sequence[Sample]
    faults: Sequence[Fault]


class HttpClient(Client):
    """Probes with a new connection per scrape, as a new visitor would."""

    def __init__(self, request: EndpointRequest, tls: WatchedContext) -> None:
        self._request, self._target, self._tls = request, request.target, tls

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - a probe has a duration and no age
        """Send the request."""
        start, handshake = perf_counter(), Handshake()
        phases = Phases(handshake)
        CURRENT.set(handshake)
        status, samples, problem = await self._probe(phases)
        samples += _tls_samples(handshake)
        samples += [metrics.PHASE(seconds, phase) for phase, seconds in phases.items()]
        if status and phases.ip_protocol is not None:
            samples.append(metrics.IP_PROTOCOL(phases.ip_protocol))
        own = (metrics.DURATION(perf_counter() - start), metrics.STATUS(status))
        return Reading((*own, *samples), round_trips=1, problem=problem)

    async def close(self) -> None:
        """Do nothing: each probe closes its own session."""

    async def _probe(self, phases: Phases) -> tuple[int, list[Sample], str]:
        """Return the status, the samples and why it counts as down; status 0 if there is no response."""
        shown = self._request.address.shown
        try:
            answer = await self._ask(phases)
        except BodyProblem as error:
            return 0, [], f"{shown}: {error}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return 0, [], f"{shown}: {http_error_text(error)}"
        problem = "; ".join(fault.text for fault in answer.faults)
        if any(fault.part == "status" for fault in answer.faults):
            problem += "; check the endpoint, or correct `status`"
        return answer.status, list(answer.samples), f"{shown}: {problem}" if problem else ""

    async def _ask(self, phases: Phases) -> _Answer:
        request, target = self._request, self._target
        async with (
            self._session(phases) as session,
            session.request(
                target.method,
                request.address.url,
                data=request.body,
                allow_redirects=target.follows,
                max_redirects=BROWSER_REDIRECTS,
                server_hostname=target.tls.server_name,
            ) as response,
        ):
            facts = list(_connection_samples(response))
            body = await self._body(response)
            phases.end_transfer()
        faults = list(faults_of(target, response.status, response.headers, body if target.reads_the_body else None))
        return _Answer(response.status, [*facts, *self._body_samples(body, faults)], faults)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if not self._target.reads_the_body:
            return await response.content.read(BODY_BYTES)
        encoding = response.headers.get("Content-Encoding", "")
        return await read_body(response.content.iter_any(), encoding, self._target.body_limit)

    def _body_samples(self, body: bytes, faults: Sequence[Fault]) -> Iterator[Sample]:
        expect, parts = self._target.expect, {fault.part for fault in faults}
        yield metrics.BODY_LENGTH(len(body))
        if expect.text is not None or expect.not_text is not None or expect.headers:
            yield metrics.REGEX(not parts.isdisjoint({"text", "header"}))
        if expect.json_values:
            yield metrics.JSON("json" in parts)
        if version := version_of(self._target, body):
            yield metrics.VERSION(1, version)

    def _session(self, phases: Phases) -> aiohttp.ClientSession:
        """Return a session without the cookies of earlier probes."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                force_close=True,
                ssl=self._tls,
                family=_FAMILIES[self._target.ip],
                use_dns_cache=False,
                socket_factory=phases.new_socket,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the scraper's deadline holds
            headers=self._request.headers,
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # cookies of IP addresses, too
            auto_decompress=False,  # what counts of the body is decompressed within its limit
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
            trace_configs=[phases.trace()],
        )


def _connection_samples(response: aiohttp.ClientResponse) -> Iterator[Sample]:
    """Yield what is known before the body, while the connection stands."""
    length = response.content_length
    yield metrics.REDIRECTS(len(response.history))
    yield metrics.CONTENT_LENGTH(-1 if length is None else length)
    yield metrics.SSL(response.url.scheme == "https")
    if response.version is not None:
        yield metrics.HTTP_VERSION(response.version.major + response.version.minor / 10)


def _tls_samples(handshake: Handshake) -> Iterator[Sample]:
    if (expiry := handshake.earliest_expiry) is not None:
        yield metrics.CERT_EXPIRY(expiry)
    if version := handshake.version:
        yield metrics.TLS_VERSION(1, version)
