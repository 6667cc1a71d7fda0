"""Controls the process that holds an incident's sessions, and counts them in the server."""

import asyncio
import json
from typing import Any

from demo.errors import DemoError, DemoNotReady
from demo.incidents.base import InjectionFacts
from demo.incidents.sessions import HOLDER
from demo.launch import python_module, recorded_processes
from demo.paths import DemoPaths
from demo.polling import poll
from demo.running import Demo
from demo.servers.process import Process

PREFIX = "sessions-"
READY_SECONDS = 20
SETTLE_SECONDS = 5


async def start_sessions(demo: Demo, name: str, holding: int, waiting: int, close_after: int) -> InjectionFacts:
    """Start the sessions of incident `name` and return their identities once all are open.

    Raises:
        DemoError: the sessions of an earlier injection are still open.
    """
    if busy := [part.name for part in recorded_processes(demo.paths) if part.name.startswith(PREFIX) and part.running]:
        raise DemoError(f"{busy[0].replace('-', ' of ')} are still open; wait until they end")
    file = demo.paths.incidents / f"{name}.sessions"
    file.unlink(missing_ok=True)
    part = Process(demo.paths.part(PREFIX + name), PREFIX + name)
    arguments = ["--waiting", str(waiting), "--close-after", str(close_after)]
    secret = demo.paths.secrets / "postgres_product"
    part.launch(
        python_module("demo.incidents.sessions", *arguments, str(secret), str(file), str(holding), cwd=part.folder)
    )

    def complete(status: dict[str, Any]) -> bool:
        return bool(status.get("ready")) and len(status["waiting"]) == waiting

    status = await poll(lambda: read_session_status(demo.paths, name), complete, READY_SECONDS)
    if not complete(status):
        raise DemoNotReady(f"the sessions of {name} did not open within {READY_SECONDS} s; see {part.log}")
    return {"holding": status["holding"], "waiting": status["waiting"]}


async def read_session_status(paths: DemoPaths, name: str) -> dict[str, Any]:
    """Return the current status of the sessions of incident `name`; empty before they open."""
    file = paths.incidents / f"{name}.sessions"
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


async def wait_for_end(paths: DemoPaths, name: str) -> dict[str, Any]:
    """Return the final status of the sessions of incident `name`, or the one after 5 seconds."""
    return await poll(
        lambda: read_session_status(paths, name), lambda status: bool(status.get("ended")), SETTLE_SECONDS
    )


async def count_alive(demo: Demo, sessions: list[dict[str, Any]]) -> int:
    """Return how many of these sessions still exist and are still in their transaction."""
    async with demo.database() as connection:
        rows = await connection.fetch(
            "SELECT pid, backend_start::text FROM pg_stat_activity"
            " WHERE application_name = $1 AND state = 'idle in transaction'",
            HOLDER,
        )
    present = {(row["pid"], row["backend_start"]) for row in rows}
    return sum((session["pid"], session["backend_start"]) in present for session in sessions)


async def stop_sessions(demo: Demo, name: str) -> None:
    """Stop the process of incident `name`, which closes its sessions."""
    part = Process(demo.paths.part(PREFIX + name), PREFIX + name)
    await asyncio.to_thread(part.stop)
