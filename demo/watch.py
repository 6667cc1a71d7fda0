"""Follows incidents from outside, as an operator could: one task polls each source."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from demo.metrics import ExporterPage
from demo.running import Demo
from demo.timeline import Step, Timeline, deciding_run

POLL_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass
class IncidentWatch:
    """The incidents that are being followed."""

    demo: Demo
    timelines: list[Timeline] = field(default_factory=list)

    def timelines_missing(self, *steps: Step) -> list[Timeline]:
        """Return the timelines that lack one of `steps`, for which to poll a source."""
        return [timeline for timeline in self.timelines if any(step not in timeline.steps for step in steps)]


async def _exporter(watch: IncidentWatch) -> None:
    timelines = watch.timelines_missing(Step.SEEN)
    if not timelines:
        return
    page = ExporterPage(await watch.demo.text("exporter", "/metrics", stack="shop"))
    for timeline in timelines:
        if timeline.incident.seen(page):
            timeline.mark(Step.SEEN, datetime.now(UTC))


async def _prometheus(watch: IncidentWatch) -> None:
    timelines = watch.timelines_missing(Step.PENDING)
    if not timelines:
        return
    answer = await watch.demo.get("prometheus", "/api/v1/alerts")
    for timeline in timelines:
        for alert in answer["data"]["alerts"]:
            if timeline.incident.raises(alert["labels"]):
                timeline.mark(Step.PENDING, datetime.fromisoformat(alert["activeAt"]))


async def _alertmanager(watch: IncidentWatch) -> None:
    timelines = watch.timelines_missing(Step.FIRING, Step.RESOLVED)
    if not timelines:
        return
    alerts = await watch.demo.get("alertmanager", "/api/v2/alerts", filter='stack="shop"')
    for timeline in timelines:
        active = [alert for alert in alerts if timeline.incident.raises(alert["labels"])]
        for alert in active:
            timeline.mark(Step.FIRING, datetime.fromisoformat(alert["startsAt"]))
        if timeline.alerted and not active:
            timeline.mark(Step.RESOLVED, datetime.now(UTC))
        timeline.alerted |= bool(active)


async def _remediator(watch: IncidentWatch) -> None:
    for timeline in watch.timelines_missing(Step.DELIVERED, Step.PLANNED, Step.BOUNDS, Step.APPLIED, Step.VERIFIED):
        if Step.PENDING not in timeline.steps or (timeline.refused_by and timeline.incident.expected == "refused"):
            continue
        runs = await watch.demo.runs(timeline.incident.remediation)
        run = deciding_run(runs, timeline.incident, timeline.injection)
        if run is not None:
            timeline.read_run(await watch.demo.run(run["id"]))


# Each source has its own task, so that a source that hangs does not delay the others.
SOURCES: dict[str, Callable[[IncidentWatch], Awaitable[None]]] = {
    "exporter": _exporter,
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
    "remediator": _remediator,
}


async def _poll_forever(name: str, poll: Callable[[IncidentWatch], Awaitable[None]], watch: IncidentWatch) -> None:
    while True:
        try:
            await poll(watch)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("cannot read %s: %s", name, error or type(error).__name__)
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def watch_incidents(demo: Demo) -> AsyncIterator[IncidentWatch]:
    """Follow every timeline that is added to the yielded watch, until the block ends."""
    watch = IncidentWatch(demo)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_poll_forever(name, poll, watch)) for name, poll in SOURCES.items()]
        try:
            yield watch
        finally:
            for task in tasks:
                task.cancel()
