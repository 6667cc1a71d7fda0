"""The memory, files and tasks of each daemon, and its connections as the servers count them."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from soak.environment import ADMIN, EXPORTER, REMEDIATOR, ROLE, USERS, SoakEnvironment
from soak.open_files import CLIENT, OpenFiles, connection_to

GROWTH_BYTES = {EXPORTER: 5 * 1024 * 1024, REMEDIATOR: 6 * 1024 * 1024}
"""Each grew by 1 to 4 MiB within ten minutes of faults; the remediator by 7 to 9 while malloc had a heap per thread."""
MOST = {"ledger": 10, "storage": 4}
"""Pools that rightly grow: the remediator's to its size; that of the storage drops a connection after 90 s."""
SAMPLES = 10
_SAMPLE_SECONDS = 0.1
_EQUAL = ("tasks", "postgres", "redis")
_COUNTS = (*_EQUAL, *MOST)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TASKS = {EXPORTER: "runbook_exporter_tasks ", REMEDIATOR: "runbook_remediator_tasks "}
_ROLES = {EXPORTER: ROLE, REMEDIATOR: ADMIN}
_SESSIONS = "SELECT usename, count(*) FROM pg_stat_activity WHERE usename IS NOT NULL GROUP BY usename"


@dataclass(frozen=True)
class Usage:
    """The memory of a daemon in bytes, what it holds open by name, and the numbers of the rest.

    `open` is all but the connections of its clients, to the ledger and to the storage.
    """

    rss: int
    open: Counter[str]
    tasks: int
    postgres: int
    redis: int
    ledger: int
    storage: int

    @property
    def files(self) -> int:
        """The number of files in `open`."""
        return self.open.total()

    def __str__(self) -> str:
        counts = (f"{getattr(self, name)} {name}" for name in ("files", *_COUNTS))
        return f"{self.rss / 1024**2:.1f} MiB, {', '.join(counts)}"


Usages = Mapping[str, Usage]


async def read_usages(environment: SoakEnvironment, pages: Callable[[str], Awaitable[str]]) -> Usages:
    """Return the least of several samples per daemon: a connection may be open during some of them, and rightly so.

    `pages` is a function that returns the metrics page of a daemon.
    """
    connection = await asyncpg.connect(environment.postgres.dsn())
    try:
        async with Redis(port=environment.redis.port, decode_responses=True) as redis:
            samplers = [_Sampler(environment, daemon, connection, redis) for daemon in environment.daemons]
            samples = [await _sample_all(samplers, pages) for _ in range(SAMPLES)]
    finally:
        await connection.close()
    return {daemon: _least([each[daemon] for each in samples]) for daemon in environment.daemons}


async def _sample_all(samplers: Sequence["_Sampler"], pages: Callable[[str], Awaitable[str]]) -> Usages:
    await asyncio.sleep(_SAMPLE_SECONDS)
    return {each.daemon: await each.sample(await pages(each.daemon)) for each in samplers}


def _least(samples: Sequence[Usage]) -> Usage:
    least = {name: min(getattr(sample, name) for sample in samples) for name in ("rss", *_COUNTS)}
    return Usage(open=min((sample.open for sample in samples), key=Counter.total), **least)


class _Sampler:
    """Takes samples of one daemon."""

    def __init__(self, environment: SoakEnvironment, daemon: str, connection: asyncpg.Connection, redis: Redis) -> None:
        self.daemon = daemon
        self._connection, self._redis = connection, redis
        self._pid = environment.pid(daemon)
        self._files = OpenFiles(self._pid, environment.daemons[daemon].port, environment.server_ports)

    async def sample(self, page: str) -> Usage:
        """Return what the daemon holds now; `page` is its metrics page."""
        sessions = {row["usename"]: row["count"] for row in await self._connection.fetch(_SESSIONS)}
        clients = await self._redis.client_list()
        files = self._files.count()
        pools = {name: files.pop(connection_to(name), 0) for name in MOST}
        files.pop(CLIENT, None)
        return Usage(
            rss=_rss(self._pid),
            open=files,
            tasks=_number(page, _TASKS[self.daemon]),
            postgres=sessions.get(_ROLES[self.daemon], 0),
            redis=sum(client["user"] == USERS[self.daemon] for client in clients),
            **pools,
        )


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _number(page: str, name: str) -> int:
    (line,) = [line for line in page.splitlines() if line.startswith(name)]
    return int(float(line.split()[1]))


def compare(before: Usages, after: Usages, growth_bytes: Mapping[str, int] = GROWTH_BYTES) -> list[str]:
    """Return a line for each resource of a daemon that changed.

    Memory may grow by `growth_bytes`. Fewer files are no leak.
    """
    return [
        f"{daemon}: {name} changed: {before[daemon]} before, {after[daemon]} after{_new(before[daemon], after[daemon])}"
        for daemon in before
        for name in _changed(before[daemon], after[daemon], growth_bytes[daemon])
    ]


def _new(before: Usage, after: Usage) -> str:
    new = after.open - before.open
    return f"; newly open: {', '.join(sorted(new.elements()))}" if new else ""


def _changed(before: Usage, after: Usage, growth_bytes: int) -> Iterator[str]:
    if after.rss > before.rss + growth_bytes:
        yield "memory"
    if after.files > before.files:
        yield "files"
    yield from (name for name in _EQUAL if getattr(after, name) != getattr(before, name))
    yield from (name for name, most in MOST.items() if getattr(after, name) > most)
