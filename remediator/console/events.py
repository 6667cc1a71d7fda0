"""`/events`: server-sent events that tell the open pages when the ledger has changed.

An event carries no content: the page fetches itself again, so that what it shows is always one page's answer. All
streams share one poll of the ledger.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from aiohttp import hdrs, web
from sqlalchemy import func, select

from remediator.console.visitor import ConsoleGuard, Visitor
from remediator.context import Context
from remediator.ledger.schema import audit, episode
from remediator.model.errors import LedgerUnavailable

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0  # below the idle limits of common proxies
WRITE_SECONDS = 10.0  # for a client that no longer reads
MAX_STREAMS = 12  # of one operator: a page has one, and closes it while it is hidden
_HEADERS = {
    hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold the events back
}
# The newest row of the audit trail, and the newest end of an episode, which has no row there.
_NEWEST = select(select(func.max(audit.c.id)).scalar_subquery(), select(func.max(episode.c.ended_at)).scalar_subquery())


class LedgerFeed:
    """Notices changes of the ledger, while at least one stream watches.

    `sequence` is the newest row of the audit trail; `version` counts the changes. `fault` is why the ledger cannot be
    read, or None.
    """

    def __init__(self, context: Context) -> None:
        self.sequence = self.version = 0
        self.fault: str | None = None
        self.is_closed = False
        self._context = context
        self._newest: object = None
        self._wakeup = asyncio.Event()
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Keep the poll running until the block ends."""
        self._watchers += 1
        try:
            if self._task is None:
                await self.poll()
                self._task = self._task or asyncio.create_task(self._run(), name="console events")
            yield
        finally:
            self._watchers -= 1
            if not self._watchers and self._task is not None:
                self._task.cancel()
                self._task = None

    async def wait(self, seen: int, seconds: float) -> int:
        """Return the version once it is no longer `seen`, or after `seconds`."""
        if self.version == seen:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wakeup.wait()
        return self.version

    def close(self) -> None:
        """End all streams."""
        self.is_closed = True
        self._notify()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.poll()

    async def poll(self) -> None:
        """Read the ledger now."""
        before = self._newest, self.fault
        try:
            async with self._context.ledger.read() as connection:
                row = (await connection.execute(_NEWEST)).one()
            self._newest, self.sequence, self.fault = tuple(row), row[0] or 0, None
        except LedgerUnavailable as error:
            self.fault = str(error)
        if before != (self._newest, self.fault):
            self._notify()

    def _notify(self) -> None:
        self.version += 1
        self._wakeup.set()
        self._wakeup = asyncio.Event()


class EventStreams:
    """The handler of `/events`."""

    def __init__(self, feed: LedgerFeed, guard: ConsoleGuard) -> None:
        self._feed = feed
        self._guard = guard
        self._open: Counter[str] = Counter()

    async def handle(self, request: web.Request, visitor: Visitor) -> web.StreamResponse:
        """Send an event at each change, until the page is closed, the visitor is signed out or the daemon stops."""
        with self._slot(visitor.operator):
            response = web.StreamResponse(headers=_HEADERS)
            async with self._feed.watch():
                await response.prepare(request)
                with suppress(ConnectionResetError, TimeoutError):  # the page was closed
                    await self._send_events(request, response, visitor)
        return response

    @contextmanager
    def _slot(self, operator: str) -> Iterator[None]:
        if self._feed.is_closed:
            raise web.HTTPServiceUnavailable(text="the remediator is stopping\n")
        if self._open[operator] >= MAX_STREAMS:
            raise web.HTTPTooManyRequests(text=f"{operator} has {MAX_STREAMS} pages open; close one for live updates\n")
        self._open[operator] += 1
        try:
            yield
        finally:
            self._open[operator] -= 1

    async def _send_events(self, request: web.Request, response: web.StreamResponse, visitor: Visitor) -> None:
        feed = self._feed
        seen, is_outdated = feed.version, _last_event(request) != feed.sequence or feed.fault is not None
        await _write(response, f"retry: 3000\n\n{self._event() if is_outdated else ''}")
        while not feed.is_closed:
            version = await feed.wait(seen, HEARTBEAT_SECONDS)
            if not await self._is_signed_in(request, visitor):
                await _write(response, "event: signed-out\ndata: \n\n")
                return
            await _write(response, ": heartbeat\n\n" if version == seen else self._event())
            seen = version

    async def _is_signed_in(self, request: web.Request, visitor: Visitor) -> bool:
        if await self._guard.is_current(request, visitor):
            return True
        await self._feed.poll()
        return self._feed.fault is not None  # then nobody can tell, and an event shows nothing

    def _event(self) -> str:
        feed = self._feed
        if feed.is_closed:
            return "event: stopping\ndata: \n\n"
        if feed.fault is not None:
            return f"event: fault\ndata: {' '.join(feed.fault.split())}\n\n"
        return f"id: {feed.sequence}\nevent: changed\ndata: \n\n"


def add_event_route(app: web.Application, context: Context, guard: ConsoleGuard) -> None:
    """Add `/events`. Its streams end as the daemon begins to stop, which would otherwise wait for them."""
    feed = LedgerFeed(context)

    async def close(_: web.Application) -> None:
        feed.close()

    app.router.add_get("/events", guard(EventStreams(feed, guard).handle), allow_head=False)
    app.on_shutdown.append(close)


def _last_event(request: web.Request) -> int | None:
    """Return the event that the page has seen last: the header of a reconnection, or the query of a new stream."""
    text = request.headers.get("Last-Event-ID") or request.query.get("last", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


async def _write(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(text.encode())
