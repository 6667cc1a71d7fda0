"""The session incidents' common ground: the process that holds the sessions, its status, and what the server says."""

import asyncio
import json
from typing import Any

from demo.errors import DemoError, NotReady
from demo.incidents.base import Facts
from demo.incidents.sessions import HOLDER
from demo.launch import python_module, recorded
from demo.places import Places
from demo.polling import poll
from demo.running import Demo
from demo.servers.process import Process

PREFIX = "sessions-"
READY_SECONDS = 20
SETTLE_SECONDS = 5


async def hold(demo: Demo, name: str, holding: int, waiting: int, close_after: int) -> Facts:
    """Start the sessions of incident `name` and return who they are, once all of them are there.

    Raises:
        DemoError: those of an earlier injection are still there.
    """
    if busy := [part.name for part in recorded(demo.places) if part.name.startswith(PREFIX) and part.running]:
        raise DemoError(f"{busy[0].replace('-', ' of ')} are still there; wait for their end")
    file = demo.places.incidents / f"{name}.sessions"
    file.unlink(missing_ok=True)
    part = Process(demo.places.part(PREFIX + name), PREFIX + name)
    arguments = ["--waiting", str(waiting), "--close-after", str(close_after)]
    secret = demo.places.secrets / "postgres_product"
    part.launch(
        python_module("demo.incidents.sessions", *arguments, str(secret), str(file), str(holding), cwd=part.folder)
    )

    def complete(status: dict[str, Any]) -> bool:
        return bool(status.get("ready")) and len(status["waiting"]) == waiting

    status = await poll(lambda: read(demo.places, name), complete, READY_SECONDS)
    if not complete(status):
        raise NotReady(f"the sessions of {name} did not come up; see {part.log}")
    return {"holding": status["holding"], "waiting": status["waiting"]}


async def read(places: Places, name: str) -> dict[str, Any]:
    """What became of the sessions of incident `name` so far; empty before they are there."""
    file = places.incidents / f"{name}.sessions"
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


async def until_ended(places: Places, name: str) -> dict[str, Any]:
    """The last word about the sessions of incident `name`, or what is known after a few seconds."""
    return await poll(lambda: read(places, name), lambda status: bool(status.get("ended")), SETTLE_SECONDS)


async def alive(demo: Demo, sessions: list[dict[str, Any]]) -> int:
    """How many of these very sessions the server still has, each still in its transaction."""
    async with demo.database() as connection:
        rows = await connection.fetch(
            "SELECT pid, backend_start::text FROM pg_stat_activity"
            " WHERE application_name = $1 AND state = 'idle in transaction'",
            HOLDER,
        )
    there = {(row["pid"], row["backend_start"]) for row in rows}
    return sum((session["pid"], session["backend_start"]) in there for session in sessions)


async def close(demo: Demo, name: str) -> None:
    """Let the sessions of incident `name` end by themselves."""
    part = Process(demo.places.part(PREFIX + name), PREFIX + name)
    await asyncio.to_thread(part.stop)
