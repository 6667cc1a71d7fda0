"""The faults: each lasts as long as its context, and then restores the environment."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import aiohttp
import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from soak.environment import EXPORTER, LEDGER_WRITER, REMEDIATOR, ROLE, SoakEnvironment, fill
from soak.shared_faults import black_hole, cut_connections, held_server, server_restart, slow_network

FaultInjector = Callable[[SoakEnvironment], AbstractAsyncContextManager[None]]
_CROWD = 50


def held_backend(role: str) -> FaultInjector:
    """Return a fault that freezes a session of a role in PostgreSQL."""

    @asynccontextmanager
    async def fault(environment: SoakEnvironment) -> AsyncIterator[None]:
        query = f"SELECT pid FROM pg_stat_activity WHERE usename = '{role}' LIMIT 1"  # noqa: S608 - the role is ours
        pids = [int(pid) for pid in (await asyncio.to_thread(environment.postgres.sql, query)).split()]
        _signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(pids, signal.SIGCONT)

    return fault


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # the session has ended meanwhile
            os.kill(pid, number)


@asynccontextmanager
async def redis_restart(environment: SoakEnvironment) -> AsyncIterator[None]:
    """Stop Redis, then start it again and refill the queues that it lost."""
    async with server_restart(environment.redis):
        yield
    await asyncio.to_thread(fill, environment.redis)


@asynccontextmanager
async def changed_password(environment: SoakEnvironment) -> AsyncIterator[None]:
    """Change the password and end the sessions, as in a rotation that forgot the exporter."""
    old = await _admin(environment, "SELECT rolpassword FROM pg_authid WHERE rolname = $1", ROLE)
    await _admin(environment, f"ALTER ROLE {ROLE} PASSWORD 'another'")
    await _admin(environment, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1", ROLE)
    try:
        yield
    finally:
        await _admin(environment, f"ALTER ROLE {ROLE} PASSWORD '{old}'")


def table_lock(statement: str) -> FaultInjector:
    """Return a fault that holds the lock of `statement` in a transaction."""

    @asynccontextmanager
    async def fault(environment: SoakEnvironment) -> AsyncIterator[None]:
        connection = await asyncpg.connect(environment.postgres.dsn())
        try:
            await connection.execute(f"BEGIN; SET LOCAL lock_timeout = '5s'; {statement}")
            yield
        finally:
            connection.terminate()

    return fault


@asynccontextmanager
async def long_script(environment: SoakEnvironment) -> AsyncIterator[None]:
    """Keep Redis busy with an endless script."""
    async with Redis(port=environment.redis.port) as product, Redis(port=environment.redis.port) as other:
        await product.config_set("busy-reply-threshold", 200)
        running: asyncio.Future[object] = asyncio.ensure_future(product.eval("while true do end", 0))
        try:
            yield
        finally:
            with suppress(RedisError):
                await other.script_kill()
            await asyncio.gather(running, return_exceptions=True)


def crowd(daemon: str) -> FaultInjector:
    """Return a fault that starts many scrapes at once; half of them hang up immediately."""

    @asynccontextmanager
    async def fault(environment: SoakEnvironment) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            scrapes = [asyncio.create_task(_read(session, environment.url(daemon))) for _ in range(_CROWD)]
            await asyncio.sleep(0.01)
            for scrape in scrapes[::2]:
                scrape.cancel()
            yield
            for scrape in scrapes:
                scrape.cancel()
            await asyncio.gather(*scrapes, return_exceptions=True)

    return fault


def reload(old: str, new: str) -> FaultInjector:
    """Return a fault that reloads an inventory with another text in place of `old`, then the original one."""

    @asynccontextmanager
    async def fault(environment: SoakEnvironment) -> AsyncIterator[None]:
        whole = environment.inventory.read_text(encoding="utf-8")
        _reload(environment, whole.replace(old, new))
        try:
            yield
        finally:
            _reload(environment, whole)

    return fault


def _reload(environment: SoakEnvironment, inventory: str) -> None:
    environment.inventory.write_text(inventory, encoding="utf-8")
    for daemon in environment.daemons:
        os.kill(environment.pid(daemon), signal.SIGHUP)


async def _admin(environment: SoakEnvironment, statement: str, *arguments: str) -> object:
    connection = await asyncpg.connect(environment.postgres.dsn())
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()


async def _read(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(f"{url}/metrics") as answer:
        await answer.read()


FAULTS: dict[str, FaultInjector] = {
    "held backend": held_backend(ROLE),
    "held backend of the ledger": held_backend(LEDGER_WRITER),
    "held PostgreSQL": lambda environment: held_server(environment.postgres),
    "held Redis": lambda environment: held_server(environment.redis),
    "held storage": lambda environment: held_server(environment.s3),
    "black hole to PostgreSQL": lambda environment: black_hole(environment.postgres_proxy),
    "black hole to the ledger": lambda environment: black_hole(environment.ledger_proxy),
    "black hole to Redis": lambda environment: black_hole(environment.redis_proxy),
    "slow network to PostgreSQL": lambda environment: slow_network(environment.postgres_proxy),
    "slow network to the ledger": lambda environment: slow_network(environment.ledger_proxy),
    "slow network to Redis": lambda environment: slow_network(environment.redis_proxy),
    "cut connections to PostgreSQL": lambda environment: cut_connections(environment.postgres_proxy),
    "cut connections to the ledger": lambda environment: cut_connections(environment.ledger_proxy),
    "cut connections to Redis": lambda environment: cut_connections(environment.redis_proxy),
    "PostgreSQL down": lambda environment: server_restart(environment.postgres),
    "Redis down": redis_restart,
    "changed password": changed_password,
    "ALTER TABLE": table_lock("ALTER TABLE orders ADD COLUMN note text"),
    "lock on pg_database": table_lock("LOCK TABLE pg_database"),
    "long script": long_script,
    "crowd that hangs up": crowd(EXPORTER),
    "crowd at the remediator": crowd(REMEDIATOR),
    "broken reload": reload('"postgres"', '"postgrse"'),
    "changed reload": reload('"refresh": "1s"', '"refresh": "2s"'),
}
