"""Makes the four incidents, follows each to its end, and proves in the real thing what became of it."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import asyncpg
import obstore.exceptions

from demo.display import Display
from demo.errors import DemoError
from demo.incidents import INCIDENTS, Incident, Injection
from demo.report import Result, build_report, save_report
from demo.running import Demo
from demo.timeline import Step, Timeline
from demo.watch import Watched, watching

FOLLOW_SECONDS = 65
CLEAR_SECONDS = 20
# What asking the real thing can fail with; then the incident has no proof, and the report says why.
UNANSWERED = (
    DemoError,
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    obstore.exceptions.BaseError,
)


async def inject(demo: Demo, incident: Incident) -> Injection:
    """Make one incident and record it.

    Raises:
        DemoError: it can not be made now; the text says why.
    """
    at = datetime.now(UTC)
    injection = Injection(incident=incident.name, at=at, facts=await incident.inject(demo))
    injection.save(demo.places)
    return injection


async def _follow(watched: Watched, display: Display, incident: Incident) -> Result:
    """One incident from its making to its proof."""
    try:
        timeline = Timeline(incident, await inject(watched.demo, incident), display.reached)
        display.add(timeline)
        watched.timelines.append(timeline)
        deadline = asyncio.get_running_loop().time() + FOLLOW_SECONDS
        await timeline.until(lambda: not timeline.lacks(), deadline)
        proof = await incident.prove(watched.demo, timeline.injection)
        await _clear(watched.demo, timeline)
    except UNANSWERED as error:
        return Result(incident, trouble=f"{type(error).__name__}: {error}")
    return Result(incident, timeline, proof)


async def _clear(demo: Demo, timeline: Timeline) -> None:
    """End what is left of the incident, and see its alert go, so that the next one starts from quiet."""
    await timeline.incident.clear(demo)
    deadline = asyncio.get_running_loop().time() + CLEAR_SECONDS
    await timeline.until(lambda: Step.RESOLVED in timeline.steps, deadline)


async def _sessions(watched: Watched, display: Display) -> list[Result]:
    """Incident d has the alert and the target of incident a, so it can not begin before that one is resolved."""
    first = await _follow(watched, display, INCIDENTS["idle_transactions"])
    then = INCIDENTS["too_many_sessions"]
    if first.timeline is None or Step.RESOLVED not in first.timeline.steps:
        return [first, Result(then, trouble=f"was not made, because {first.incident.name} was not resolved")]
    return [first, await _follow(watched, display, then)]


async def run_loop(demo: Demo, display: Display) -> dict[str, Any]:
    """Run all four incidents, write the report and return it."""
    started = time.monotonic()
    with display.live():
        async with watching(demo) as watched, asyncio.TaskGroup() as group:
            sessions = group.create_task(_sessions(watched, display))
            others = [
                group.create_task(_follow(watched, display, INCIDENTS[name])) for name in ("failed_jobs", "old_backup")
            ]
    results = sorted([*sessions.result(), *(task.result() for task in others)], key=lambda each: each.incident.letter)
    report = build_report(results, time.monotonic() - started)
    save_report(demo.places, report)
    return report


async def follow_new(demo: Demo, display: Display) -> None:
    """Show every incident that somebody makes with `make incident`, until the demo is ended."""
    known = {(injection.incident, injection.at) for injection in Injection.all(demo.places)}
    async with watching(demo) as watched:
        while demo.places.env.exists():
            for injection in Injection.all(demo.places):
                if (injection.incident, injection.at) not in known:
                    known.add((injection.incident, injection.at))
                    timeline = Timeline(INCIDENTS[injection.incident], injection, display.reached)
                    display.add(timeline)
                    watched.timelines.append(timeline)
            await asyncio.sleep(0.5)
