"""Injects the four incidents, follows them, and proves the results in the real servers."""

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
from demo.watch import IncidentWatch, watch_incidents

FOLLOW_SECONDS = 65
CLEAR_SECONDS = 20
# Errors of the real servers during a proof; the report then gives the error as the reason.
PROOF_ERRORS = (
    DemoError,
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    obstore.exceptions.BaseError,
)


async def inject(demo: Demo, incident: Incident) -> Injection:
    """Inject one incident and record it.

    Raises:
        DemoError: the incident is not possible now; the message gives the reason.
    """
    at = datetime.now(UTC)
    injection = Injection(incident=incident.name, at=at, facts=await incident.inject(demo))
    injection.save(demo.paths)
    return injection


async def _follow(watch: IncidentWatch, display: Display, incident: Incident) -> Result:
    """Follow one incident from its injection to its proof."""
    try:
        timeline = Timeline(incident, await inject(watch.demo, incident), display.step_reached)
        display.add(timeline)
        watch.timelines.append(timeline)
        deadline = asyncio.get_running_loop().time() + FOLLOW_SECONDS
        await timeline.wait_for(lambda: not timeline.missing_steps(), deadline)
        proof = await incident.prove(watch.demo, timeline.injection)
        await _clear(watch.demo, timeline)
    except PROOF_ERRORS as error:
        return Result(incident, failure=f"{type(error).__name__}: {error}")
    return Result(incident, timeline, proof)


async def _clear(demo: Demo, timeline: Timeline) -> None:
    """Clean up and wait until the alert resolves, so that the next incident starts clean."""
    await timeline.incident.clear(demo)
    deadline = asyncio.get_running_loop().time() + CLEAR_SECONDS
    await timeline.wait_for(lambda: Step.RESOLVED in timeline.steps, deadline)


async def _follow_session_incidents(watch: IncidentWatch, display: Display) -> list[Result]:
    """Run incident d after incident a has resolved: both have the same alert and target."""
    first = await _follow(watch, display, INCIDENTS["idle_transactions"])
    second = INCIDENTS["too_many_sessions"]
    if first.timeline is None or Step.RESOLVED not in first.timeline.steps:
        return [first, Result(second, failure=f"not injected: {first.incident.name} did not resolve")]
    return [first, await _follow(watch, display, second)]


async def run_loop(demo: Demo, display: Display) -> dict[str, Any]:
    """Run all four incidents, write the report and return it."""
    started = time.monotonic()
    with display.live():
        async with watch_incidents(demo) as watch, asyncio.TaskGroup() as group:
            sessions = group.create_task(_follow_session_incidents(watch, display))
            others = [
                group.create_task(_follow(watch, display, INCIDENTS[name])) for name in ("failed_jobs", "old_backup")
            ]
    results = sorted([*sessions.result(), *(task.result() for task in others)], key=lambda each: each.incident.letter)
    report = build_report(results, time.monotonic() - started)
    save_report(demo.paths, report)
    return report


async def follow_new(demo: Demo, display: Display) -> None:
    """Show every incident from `make incident` until the demo stops."""
    known_injections = {(injection.incident, injection.at) for injection in Injection.load_all(demo.paths)}
    async with watch_incidents(demo) as watch:
        while demo.paths.env.exists():
            for injection in Injection.load_all(demo.paths):
                if (injection.incident, injection.at) not in known_injections:
                    known_injections.add((injection.incident, injection.at))
                    timeline = Timeline(INCIDENTS[injection.incident], injection, display.step_reached)
                    display.add(timeline)
                    watch.timelines.append(timeline)
            await asyncio.sleep(0.5)
