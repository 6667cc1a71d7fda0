"""Readings of the last minute, which all alerts of a stack share: an outage must not be read once per alert."""

import asyncio
from collections.abc import Mapping
from typing import Any

from remediator.diagnostics.bundle import read_part
from remediator.model.remediation import Scope

FRESH_SECONDS = 60.0

_Reading = tuple[float, "asyncio.Task[Mapping[str, Any]]"]
_readings: dict[tuple[int, int, str], _Reading] = {}


async def read_recently(scope: Scope) -> Mapping[str, Any]:
    """Return the diagnostics of one part, read at most a minute ago.

    Raises:
        TargetUnreachable: the part did not answer within PART_SECONDS.
    """
    loop = asyncio.get_running_loop()
    for key in [key for key, (read_at, _) in _readings.items() if not 0 <= loop.time() - read_at < FRESH_SECONDS]:
        del _readings[key]
    key = (id(loop), id(scope.stack), str(scope.target))
    if key not in _readings:
        _readings[key] = (loop.time(), asyncio.create_task(read_part(scope), name="diagnostics"))
    return await asyncio.shield(_readings[key][1])
