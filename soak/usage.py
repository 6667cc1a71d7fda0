"""The memory, files and tasks of each daemon, and its connections as the servers count them."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from soak.environment import ADMIN, EXPORTER, REMEDIATOR, ROLE, USERS, SoakEnvironment

GROWTH_BYTES = {EXPORTER: 5 * 1024 * 1024, REMEDIATOR: 6 * 1024 * 1024}
"""Each grew by 1 to 4 MiB within ten minutes of faults; the remediator by 7 to 9 while malloc had a heap per thread."""
MOST = {"ledger": 10, "storage": 4}
"""Pools that rightly grow: the remediator's to its size; that of the storage drops a connection after 90 s."""
SAMPLES = 10
_SAMPLE_SECONDS = 0.1
_CLIENT = -1
_EQUAL = ("files", "tasks", "postgres", "redis")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TASKS = {EXPORTER: "runbook_exporter_tasks ", REMEDIATOR: "runbook_remediator_tasks "}
_ROLES = {EXPORTER: ROLE, REMEDIATOR: ADMIN}
_SESSIONS = "SELECT usename, count(*) FROM pg_stat_activity WHERE usename IS NOT NULL GROUP BY usename"


@dataclass(frozen=True)
class Usage:
    """The memory of a daemon in bytes, and the numbers of what it holds open.

    `files` are all but the connections of its clients, to the ledger and to the storage.
    """

    rss: int
    files: int
    tasks: int
    postgres: int
    redis: int
    ledger: int
    storage: int

    def __str__(self) -> str:
        counts = (f"{getattr(self, each.name)} {each.name}" for each in fields(self) if each.name != "rss")
        return f"{self.rss / 1024**2:.1f} MiB, {', '.join(counts)}"


Usages = Mapping[str, Usage]


async def read_usages(environment: SoakEnvironment, pages: Callable[[str], Awaitable[str]]) -> Usages:
    """Return the least of several samples per daemon: a connection may be open during some of them, and rightly so.

    `pages` is a function that returns the metrics page of a daemon.
    """
    samples: dict[str, list[Usage]] = {daemon: [] for daemon in environment.daemons}
    connection = await asyncpg.connect(environment.postgres.dsn())
    try:
        async with Redis(port=environment.redis.port, decode_responses=True) as redis:
            for _ in range(SAMPLES):
                for daemon in samples:
                    samples[daemon].append(await _sample(environment, daemon, await pages(daemon), connection, redis))
                await asyncio.sleep(_SAMPLE_SECONDS)
    finally:
        await connection.close()
    return {daemon: _least(each) for daemon, each in samples.items()}


def _least(samples: Sequence[Usage]) -> Usage:
    return Usage(*(min(getattr(sample, each.name) for sample in samples) for each in fields(Usage)))


async def _sample(
    environment: SoakEnvironment, daemon: str, page: str, connection: asyncpg.Connection, redis: Redis
) -> Usage:
    process = Path("/proc") / str(environment.pid(daemon))
    sessions = {row["usename"]: row["count"] for row in await connection.fetch(_SESSIONS)}
    clients = await redis.client_list()
    # One listing before the table of connections: what is closed in between counts as a file, and the least is taken.
    files = list(_open_files(process))
    peers = _peers(files, process, environment.daemons[daemon].port)
    pools = {"ledger": peers[environment.ledger_proxy.own_port], "storage": peers[environment.s3.port]}
    return Usage(
        rss=int((process / "statm").read_text().split()[1]) * _PAGE,
        files=len(files) - peers[_CLIENT] - sum(pools.values()),
        tasks=_number(page, _TASKS[daemon]),
        postgres=sessions.get(_ROLES[daemon], 0),
        redis=sum(client["user"] == USERS[daemon] for client in clients),
        **pools,
    )


def _peers(files: Sequence[str], process: Path, own_port: int) -> Counter[int]:
    """Count the connections of a daemon by the port of their other end; those that its clients opened as `_CLIENT`."""
    rows = [line.split() for line in (process / "net" / "tcp").read_text().splitlines()[1:]]
    own = [(_port(row[1]), _port(row[2])) for row in rows if f"socket:[{row[9]}]" in files]
    return Counter(_CLIENT if local == own_port else remote for local, remote in own if remote != 0)


def _open_files(process: Path) -> Iterator[str]:
    for file in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            yield str(file.readlink())


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _number(page: str, name: str) -> int:
    (line,) = [line for line in page.splitlines() if line.startswith(name)]
    return int(float(line.split()[1]))


def compare(before: Usages, after: Usages) -> list[str]:
    """Return a line for each resource of a daemon that changed."""
    return [
        f"{daemon}: {name} changed: {before[daemon]} before, {after[daemon]} after"
        for daemon in before
        for name in _changed(daemon, before[daemon], after[daemon])
    ]


def _changed(daemon: str, before: Usage, after: Usage) -> Iterator[str]:
    if after.rss > before.rss + GROWTH_BYTES[daemon]:
        yield "memory"
    yield from (name for name in _EQUAL if getattr(after, name) != getattr(before, name))
    yield from (name for name, most in MOST.items() if getattr(after, name) > most)
