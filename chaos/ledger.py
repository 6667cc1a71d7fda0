"""The ledger's servers: a primary, a streaming standby, and the failover from one to the other."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path

from chaos.audit.evidence import Failover
from chaos.audit.ledger_copy import read_ledger
from demo.paths import CHECKOUT
from demo.polling import poll
from demo.servers.postgres import PostgresServer
from demo.servers.server import Server
from demo.servers.standby import StandbyServer
from remediator.ledger.postgresql.migrate import migrate
from runbookd.addresses.postgres import read_postgres_address
from soak.proxy import Proxy

DATABASE = "runbookd"
ROLES = ("runbookd_owner", "runbookd_writer", "runbookd_auditor")
Outage = Callable[[], AbstractAsyncContextManager[None]]
LAG_SECONDS = 10.0
"""How long a failover waits for a commit that the standby lacks."""
SETTINGS = {"synchronous_commit": "on"}


class LaggingStandby(StandbyServer):
    """A standby whose replication goes through a proxy."""

    def __init__(self, folder: Path, primary: PostgresServer, proxy_port: int) -> None:
        super().__init__(folder, primary, settings=SETTINGS)
        self._proxy_port = proxy_port

    def more_settings(self) -> Mapping[str, str]:
        """Return the settings of every standby, with the port of the proxy."""
        settings = super().more_settings()
        conninfo = settings["primary_conninfo"].replace(f"port={self.primary.port} ", f"port={self._proxy_port} ")
        return {**settings, "primary_conninfo": conninfo}


class LedgerServers:
    """The servers. The replicas connect through `proxies`, which a failover points to the new primary."""

    def __init__(self, folder: Path, replicas: int) -> None:
        self._folder, self._number = folder, 0
        self.primary: PostgresServer = PostgresServer(folder / "ledger-0", settings=SETTINGS)
        self.standby: LaggingStandby | None = None
        self.replication = Proxy(self.primary.port)
        self.proxies = [Proxy(self.primary.port) for _ in range(replicas)]
        self.failovers: list[Failover] = []
        self._servers: list[PostgresServer] = [self.primary]

    async def start(self) -> Sequence[int]:
        """Start the primary with an empty ledger; return the ports of the proxies."""
        await asyncio.to_thread(self.primary.start)
        await asyncio.to_thread(self._install)
        await migrate(read_postgres_address(self.primary.dsn("runbookd_owner", DATABASE)))
        return [await proxy.start() for proxy in self.proxies]

    async def add_standby(self) -> None:
        """Start a standby of the primary."""
        await self.replication.close()
        self.replication, self._number = Proxy(self.primary.port), self._number + 1
        port = await self.replication.start()
        standby = LaggingStandby(self._folder / f"ledger-{self._number}", self.primary, port)
        self._servers.append(standby)
        await asyncio.to_thread(standby.start)
        self.standby = standby

    async def close(self) -> None:
        """End every server and proxy."""
        for proxy in (*self.proxies, self.replication):
            await proxy.close()
        await asyncio.gather(*(asyncio.to_thread(end_at_once, server) for server in self._servers))

    def writer_dsn(self, port: int) -> str:
        """Return the DSN of the replicas' role through a proxy."""
        dsn = self.primary.dsn("runbookd_writer", DATABASE)
        return dsn.replace(f":{self.primary.port}/", f":{port}/")

    def dsn(self) -> str:
        """Return the DSN of a superuser who sees the present ledger without a proxy."""
        return ledger_dsn(self.primary)

    @asynccontextmanager
    async def disconnected(self) -> AsyncIterator[None]:
        """Refuse all connections of the replicas."""
        for proxy in self.proxies:
            proxy.refuses = True
            await proxy.cut()
        try:
            yield
        finally:
            for proxy in self.proxies:
                proxy.refuses = False

    async def fail_over(self, lag_seconds: float, outage: Outage = nullcontext) -> Failover:
        """Promote the standby, which lacks the commits of the last `lag_seconds`, and give it a standby of its own.

        The replicas cannot reach the ledger while `outage` is open.
        """
        standby, abandoned = self.standby, self.primary
        if standby is None:
            raise RuntimeError("the ledger has no standby")
        self.replication.black_hole = True
        await asyncio.sleep(lag_seconds)
        await poll(lambda: asyncio.to_thread(_lag, abandoned, standby), bool, LAG_SECONDS)
        async with outage(), self.disconnected():
            failover = await self._promote(standby, abandoned)
            self.primary, self.standby = standby, None
            self.failovers.append(failover)
            for proxy in self.proxies:
                proxy.port = standby.port
        await self.add_standby()
        return failover

    async def _promote(self, standby: PostgresServer, abandoned: PostgresServer) -> Failover:
        """Kill the primary; read what it had accepted, from itself, and what the standby has of it."""
        at = time.time()
        await asyncio.to_thread(abandoned.process.stop, signal.SIGKILL)
        await asyncio.to_thread(standby.sql, "SELECT pg_promote()")
        await asyncio.to_thread(abandoned.start)
        lost = await read_ledger(ledger_dsn(abandoned))
        await asyncio.to_thread(abandoned.stop)
        return Failover(at, lost, await read_ledger(ledger_dsn(standby)))

    def _install(self) -> None:
        for role in ROLES:
            self.primary.add_role(role)
        self.primary.add_database(DATABASE)
        script = CHECKOUT / "deploy" / "postgres" / "ledger.sql"
        self.primary.sql(script.read_text(encoding="utf-8"), database=DATABASE)


def end_at_once(server: Server) -> None:
    """Kill a server whose data nobody needs any longer, and delete its folder."""
    server.process.stop(signal.SIGKILL)
    server.remove()


def ledger_dsn(server: PostgresServer) -> str:
    """Return the DSN of a superuser in a ledger."""
    return f"{server.dsn(database=DATABASE)}?search_path=runbookd"


def _lag(primary: PostgresServer, standby: PostgresServer) -> int:
    """Return the number of rows of the audit trail that the standby lacks."""
    count = "SELECT count(*) FROM runbookd.audit"
    rows = [int(server.sql(count, database=DATABASE)) for server in (primary, standby)]
    return rows[0] - rows[1]
