"""The counters that a scrape moves, and the changes that a scrape must show."""

from dataclasses import astuple, dataclass
from typing import Any

import asyncpg
import redis

from benchmarks.busy_redis import CHANGED_QUEUE
from benchmarks.exporters import ROLE, Truth
from benchmarks.processes import server_cpu
from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer

_STATEMENTS = f"SELECT coalesce(sum(calls), 0)::int8 FROM pg_stat_statements WHERE userid = '{ROLE}'::regrole"  # noqa: S608 - our own name
_IN_TRANSACTION = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
# The benchmark's own commands; no exporter changes a key.
_OWN_COMMANDS = ("cmdstat_lpush",)


@dataclass(frozen=True)
class ServerCounters:
    """The work of both servers so far, or between two readings. CPU is in seconds."""

    postgres_cpu: float = 0.0
    statements: float = 0.0
    postgres_connections: float = 0.0
    redis_cpu: float = 0.0
    commands: float = 0.0
    redis_connections: float = 0.0

    def __add__(self, other: "ServerCounters") -> "ServerCounters":
        return ServerCounters(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, factor: float) -> "ServerCounters":
        return ServerCounters(*(factor * each for each in astuple(self)))

    def __sub__(self, other: "ServerCounters") -> "ServerCounters":
        return self + other * -1


class BusyServers:
    """Both servers, with a connection of the benchmark's own to each."""

    def __init__(self, postgres: PostgresServer, redis_server: RedisServer) -> None:
        self.postgres, self.redis = postgres, redis_server
        self._client = redis.Redis(port=redis_server.port)
        self._own_commands = 0

    async def connect(self) -> None:
        """Open the connections that stay open during the measurement."""
        self._reader = await asyncpg.connect(self.postgres.dsn(), statement_cache_size=0)
        self._changer = await asyncpg.connect(self.postgres.dsn(), statement_cache_size=0)

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()
        await self._changer.close()
        self._client.close()

    async def counters(self) -> ServerCounters:
        """Read the counters; this costs Redis one command, which is not counted."""
        statements = await self._reader.fetchval(_STATEMENTS)
        info: dict[str, Any] = self._client.info("everything")
        commands = sum(value["calls"] for name, value in info.items() if _is_command(name))
        self._own_commands += 1
        return ServerCounters(
            server_cpu(self.postgres),
            statements,
            self._logged_connections(),
            info["used_cpu_user"] + info["used_cpu_sys"],
            commands - self._own_commands,
            info["total_connections_received"],
        )

    async def change(self) -> Truth:
        """Change a value in each server, and return the values that the next scrape must show."""
        await self._changer.execute("ROLLBACK" if self._changer.is_in_transaction() else "BEGIN")
        waiting: Any = self._client.lpush(f"bull:{CHANGED_QUEUE}:wait", "100")
        return Truth(await self._reader.fetchval(_IN_TRANSACTION), waiting)

    def _logged_connections(self) -> int:
        return self.postgres.process.log.read_bytes().count(f"connection authorized: user={ROLE} ".encode())


def _is_command(name: str) -> bool:
    return name.startswith("cmdstat_") and name not in _OWN_COMMANDS
