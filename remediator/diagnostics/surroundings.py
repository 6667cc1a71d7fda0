"""Diagnostics of what stands around the servers of a stack: its endpoints and its services."""

import asyncio
from collections.abc import Mapping
from typing import Any

from remediator.clients.http_probe import probe
from remediator.clients.services.manager import ServiceState
from remediator.clients.services.reading import CONCURRENT_READS, read_service
from remediator.masking import mask_text
from remediator.model.remediation import Scope
from runbookd.inventory import HttpTarget

MAX_ROWS = 10  # of each kind


async def read_surroundings(scope: Scope) -> Mapping[str, Any]:
    """Probe each endpoint once, and read each service from its manager. One that hangs costs only its own row."""
    limit = asyncio.Semaphore(CONCURRENT_READS)
    stack = scope.stack
    endpoints = [_endpoint(name, target) for name, target in list(stack.http.items())[:MAX_ROWS]]
    services = [_service(limit, scope, name) for name in list(stack.services)[:MAX_ROWS]]
    answers, states = await asyncio.gather(asyncio.gather(*endpoints), asyncio.gather(*services))
    return {
        "endpoints": answers,
        "services": states,
        **_left_out("endpoints", len(stack.http)),
        **_left_out("services", len(stack.services)),
    }


async def _endpoint(name: str, target: HttpTarget) -> Mapping[str, Any]:
    problem = await probe(target)
    return {"name": name, "answer": "good" if problem is None else mask_text(problem)}


async def _service(limit: asyncio.Semaphore, scope: Scope, name: str) -> Mapping[str, Any]:
    state = await read_service(limit, scope.target.stack, scope.stack, name)
    if not isinstance(state, ServiceState):
        return {"name": name, "error": mask_text(state)}
    started = state.started_at
    return {
        "name": name,
        "state": str(state.status),
        "instances": state.running,
        "restarts": state.restarts,
        "started": started.isoformat(timespec="seconds") if started is not None else None,
    }


def _left_out(kind: str, count: int) -> Mapping[str, str]:
    return {f"{kind}_left_out": f"{count - MAX_ROWS} more"} if count > MAX_ROWS else {}
