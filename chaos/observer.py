"""Watches without a proxy: the lease in the database, each replica's claim to lead, and the queue's events."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chaos.audit.evidence import DoubleLeader, Effect, LeaderSample
from chaos.configuration import CALL, RETRY
from chaos.lost_connections import NO_ANSWER, NO_DATABASE
from demo.product.jobs import QUEUE
from remediator.model.run_state import ACTIVE

_EVERY_SECONDS = 0.25
_METRICS_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_SAMPLE = (
    "SELECT (SELECT coalesce(max(id), 0) FROM audit) AS newest_row, term, holder, elected_at / 1e6 AS elected_at,"
    " expires_at / 1e6 AS expires_at FROM leader"
)
_ADMITTED = "SELECT id, remediation, state FROM run WHERE admitted_at IS NOT NULL"


@dataclass
class Observer:
    """The samples and events of a run. `dsn` and `failovers` change with each failover."""

    dsn: Callable[[], str]
    failovers: Callable[[], int]
    replicas: Sequence[str]
    redis: Redis
    http: aiohttp.ClientSession
    samples: list[LeaderSample] = field(default_factory=list)
    admitted_at: dict[int, float] = field(default_factory=dict)
    retries: list[Effect] = field(default_factory=list)
    double_leaders: list[DoubleLeader] = field(default_factory=list)
    gate_free_at: float = 0.0
    """When no run of the gate was under way, last."""
    _leading: frozenset[int] = frozenset()
    _event: str = "0"

    async def watch(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sample_forever())
            group.create_task(self._ask_forever())
            group.create_task(self._read_forever())

    @property
    def leader_pid(self) -> int | None:
        """The process that holds the lease, as the last sample says; its number is part of the holder's name."""
        if not self.samples or self.samples[-1].holder is None or self.samples[-1].expires_at < time.time():
            return None
        words = self.samples[-1].holder.split("process ")[-1].split()
        return int(words[0]) if words and words[0].isdigit() else None

    def forget_after(self, newest_run: int) -> None:
        """Forget the admissions that a failover has lost: their numbers are given again."""
        for run in [each for each in self.admitted_at if each > newest_run]:
            del self.admitted_at[run]

    async def read_events(self) -> None:
        """Read the queue's events since the last time: a retry puts a failed job back among the waiting ones."""
        key = f"bull:{QUEUE}:events"
        while True:
            answer: Any = await self.redis.xread({key: self._event}, count=1_000)
            if not answer:
                return
            for identifier, fields in answer[0][1]:
                self._event = identifier
                if fields.get("event") == "waiting" and fields.get("prev") == "failed":
                    self.retries.append(Effect(int(identifier.split("-")[0]) / 1000, RETRY, fields["jobId"]))

    async def _sample_forever(self) -> None:
        while True:
            with suppress(*NO_DATABASE):
                await self._sample()
            await asyncio.sleep(_EVERY_SECONDS)

    async def _sample(self) -> None:
        """Sample through one connection until it breaks or the ledger has another server."""
        server = self.failovers()
        settings = {"search_path": "runbookd"}
        connection = await asyncpg.connect(self.dsn(), timeout=_ANSWER_SECONDS, server_settings=settings)
        try:
            while server == self.failovers():
                await self._sample_once(connection, server)
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            connection.terminate()

    async def _sample_once(self, connection: asyncpg.Connection, server: int) -> None:
        at, row = time.time(), await connection.fetchrow(_SAMPLE, timeout=_ANSWER_SECONDS)
        admitted = await connection.fetch(_ADMITTED, timeout=_ANSWER_SECONDS)
        if row is None or server != self.failovers():
            return
        self.samples.append(LeaderSample(at, server, row["newest_row"], row["term"], row["holder"], *_moments(row)))
        for each in admitted:
            self.admitted_at.setdefault(each["id"], at)
        if not any(each["remediation"] == CALL and each["state"] in ACTIVE for each in admitted):
            self.gate_free_at = at

    async def _ask_forever(self) -> None:
        while True:
            answers = await asyncio.gather(*(self._leads(url) for url in self.replicas))
            leading = frozenset(number for number, leads in enumerate(answers) if leads)
            if len(leading & self._leading) > 1:
                names = " and ".join(f"replica {number}" for number in sorted(leading & self._leading))
                self.double_leaders.append(DoubleLeader(time.time(), names))
            self._leading = leading
            await asyncio.sleep(_METRICS_SECONDS)

    async def _leads(self, url: str) -> bool:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        with suppress(*NO_ANSWER):
            async with self.http.get(f"{url}/metrics", timeout=timeout) as answer:
                return "\nremediation_leader 1" in await answer.text()
        return False

    async def _read_forever(self) -> None:
        while True:
            with suppress(RedisError):
                await self.read_events()
            await asyncio.sleep(_METRICS_SECONDS)


def _moments(row: asyncpg.Record) -> tuple[float, float]:
    return float(row["elected_at"]), float(row["expires_at"])
