"""The proof that the remediations of services share: it runs, and its probe stays good for `settle`."""

import asyncio
from typing import Any

from remediator.clients.http_probe import probe
from remediator.clients.services.manager import ServiceManager, ServiceState, Status
from remediator.model.remediation import Scope, Verdict

PROBE_INTERVAL = 1.0


async def verify_health(scope: Scope, manager: ServiceManager, expected: str | None, state: ServiceState) -> Verdict:
    """Judge a service in `state`; `expected` is what is wrong with it already, or None.

    Clean if all its live instances run, the probe is good for `settle`, and no instance starts once more in that time.
    """
    evidence: dict[str, Any] = {"state": str(state.status), "instances": state.running, "restarts": state.restarts}
    if expected is not None:
        return Verdict(clean=False, evidence={**evidence, "wrong": expected})
    if state.status is not Status.RUNNING:
        return Verdict(clean=False, evidence={**evidence, "wrong": f"the service is {state.status}"})
    problem, probes = await _watch(scope)
    if problem is None and (await manager.read()).starts() != state.starts():
        problem = "it started once more while it was watched"
    return Verdict(problem is None, {**evidence, "health": probes, **({"wrong": problem} if problem else {})})


async def _watch(scope: Scope) -> tuple[str | None, str]:
    """Probe until `settle` is over; return the first problem, and what was seen."""
    name = scope.stack.services[scope.target.name].health
    loop = asyncio.get_running_loop()
    until, good = loop.time() + scope.settings.settle.total_seconds(), 0
    while name is not None:
        if (problem := await probe(scope.stack.http[name])) is not None:
            return f"http/{name}: {problem}", f"{good} good probes of http/{name}, then a bad one"
        good += 1
        if loop.time() + PROBE_INTERVAL > until:
            return None, f"{good} good probes of http/{name}"
        await asyncio.sleep(PROBE_INTERVAL)
    await asyncio.sleep(max(0.0, until - loop.time()))
    return None, "no probe is set"
