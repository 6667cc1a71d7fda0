"""The database that one drill makes for itself and drops again, on a server that is not the product's.

It is made by CREATE DATABASE, which fails for a name that exists: nothing of the drill can reach another database. Its
session holds an advisory lock until the end, so that a leftover without a lock is one of a drill that has ended.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from remediator.clients.postgres import connect, translate_errors
from remediator.model.errors import RunRefused, TargetUnreachable
from remediator.model.remediation import Scope
from runbookd.inventory import Drill
from runbookd.inventory.backup_drill import TEMPLATE

PREFIX = "runbook_drill_"
DROP_SECONDS = 60.0
_SERVER = """
    SELECT system_identifier::text AS server, pg_is_in_recovery() AS standby,
           rolname AS role, rolcreatedb AS may_create,
           rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls AS may_more,
           ARRAY(SELECT b.rolname::text FROM pg_auth_members m JOIN pg_roles b ON b.oid = m.roleid
                 WHERE m.member = r.oid) AS member_of,
           ARRAY(SELECT datname::text FROM pg_database WHERE datdba = r.oid AND NOT starts_with(datname, $1)) AS owns
    FROM pg_control_system(), pg_roles r WHERE rolname = current_user
"""
_LEFTOVERS = """
    SELECT datname::text AS name, shobj_description(d.oid, 'pg_database') AS comment
    FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
    WHERE starts_with(datname, $1) AND rolname = current_user ORDER BY 1
"""
_STRAYS = """
    SELECT datname::text AS name FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
    WHERE NOT starts_with(datname, $1) AND rolname = current_user ORDER BY 1
"""
_LOCK = "hashtextextended('runbookd drill ' || $1, 0)"


def scratch_name(scope: Scope) -> str:
    """Return the name of this run's own database."""
    target = hashlib.sha256(str(scope.target).encode()).hexdigest()[:8]
    return f"{PREFIX}{target}_{scope.run}"


def _comment(scope: Scope, name: str) -> str:
    return f"runbookd: restore drill of {scope.target}, database {name}; it is dropped after the drill"


@dataclass(frozen=True)
class ScratchServer:
    """A connection to the scratch server; `identifier` is that of its cluster."""

    scope: Scope
    drill: Drill
    connection: asyncpg.Connection
    identifier: str

    async def size_of(self, name: str) -> int:
        """Return the size of a scratch database in bytes."""
        return int(await self.connection.fetchval("SELECT pg_database_size($1::name)", name))

    async def sweep(self) -> Sequence[str]:
        """Drop what earlier drills of this target left behind; return the names."""
        rows = await self.connection.fetch(_LEFTOVERS, PREFIX)
        ours = [each["name"] for each in rows if each["comment"] == _comment(self.scope, each["name"])]
        return [name for name in ours if await self._drop_unless_in_use(name)]

    async def drop_strays(self) -> Sequence[str]:
        """Drop the databases that a dump has created: the role owned none when the drill began."""
        names = [each["name"] for each in await self.connection.fetch(_STRAYS, PREFIX)]
        for name in names:
            await self.connection.execute(_drop_statement(name), timeout=DROP_SECONDS)
        return names

    async def leftovers(self) -> Sequence[str]:
        """Return the scratch databases of this target that exist."""
        rows = await self.connection.fetch(_LEFTOVERS, PREFIX)
        return [each["name"] for each in rows if each["comment"] == _comment(self.scope, each["name"])]

    async def _drop_unless_in_use(self, name: str) -> bool:
        if not await self.connection.fetchval(f"SELECT pg_try_advisory_lock({_LOCK})", name):
            return False
        try:
            await self.connection.execute(_drop_statement(name), timeout=DROP_SECONDS)
        finally:
            await self.connection.execute(f"SELECT pg_advisory_unlock({_LOCK})", name)
        return True


@asynccontextmanager
async def open_scratch_server(scope: Scope, drill: Drill) -> AsyncIterator[ScratchServer]:
    """Connect to the scratch server and check the rights of its role.

    Raises:
        TargetUnreachable: it does not answer, is a standby, or its role may do too much or too little.
    """
    async with connect(scope, drill.dsn_secret()) as connection:
        with translate_errors(scope):
            await connection.execute("SET statement_timeout = 0; SET idle_session_timeout = 0")
            row = await connection.fetchrow(_SERVER, PREFIX, timeout=10)
        assert row is not None  # the role of a session exists  # noqa: S101
        if problem := _problem_of(row):
            raise TargetUnreachable(f"{scope.target}: drill.dsn: {problem}")
        yield ScratchServer(scope, drill, connection, row["server"])


def _problem_of(row: asyncpg.Record) -> str | None:
    """Return why this role or server is not one for drills: a dump may hold any statement, and it runs as this role."""
    role = f'role "{row["role"]}"'
    if row["standby"]:
        return "leads to a standby, on which nothing can be restored"
    if row["may_more"]:
        return f"{role} is a superuser, or may create roles, replicate or bypass row security; see drill.sql"
    if row["member_of"]:
        return f"{role} is a member of {', '.join(row['member_of'])}; revoke that, as a dump may use it"
    if owned := row["owns"]:
        return f"{role} owns the database {owned[0]}, which a dump could change; use a role that owns nothing"
    if not row["may_create"]:
        return f'{role} may not create databases; ALTER ROLE "{row["role"]}" CREATEDB'
    return None


def require_other_server(server: ScratchServer, products: Sequence[tuple[str, str]], size: int) -> None:
    """Refuse to restore on a product's own server, unless the inventory allows it for this size.

    Raises:
        RunRefused: it is a product's, or the database is too large.
    """
    limit, same = server.drill.max_bytes, server.drill.same_server
    shared = [name for name, identifier in products if identifier == server.identifier]
    if shared and same is None:
        raise RunRefused(
            "same_server",
            f"drill.dsn leads to the same cluster as {shared[0]}; use another server, or allow it with"
            " drill.same_server.max_bytes",
        )
    if shared and same is not None:
        limit = min(limit, same.max_bytes)
    if size > limit:
        raise RunRefused(
            "too_large",
            f"the database has {size} bytes and the drill may take {limit}; raise max_bytes if there is room",
        )


@asynccontextmanager
async def scratch_database(server: ScratchServer, name: str, encoding: str) -> AsyncIterator[str]:
    """Create the database `name`, and drop it afterwards, whatever happens.

    Raises:
        TargetUnreachable: it cannot be created, or exists.
    """
    scope, connection = server.scope, server.connection
    with translate_errors(scope):
        if not await connection.fetchval(f"SELECT pg_try_advisory_lock({_LOCK})", name):
            raise TargetUnreachable(f"{scope.target}: another drill uses the database {name}")
    creation = asyncio.create_task(_create(server, name, encoding))
    try:
        with translate_errors(scope):
            await asyncio.shield(creation)
        yield name
    finally:
        await asyncio.wait([creation])  # a cancelled drill must not leave what is being created
        if creation.exception() is None:
            await asyncio.shield(_drop(server, name))


async def _create(server: ScratchServer, name: str, encoding: str) -> None:
    template = server.drill.template
    options = f" ENCODING {_literal(encoding)}" if template == TEMPLATE else ""
    await server.connection.execute(f"CREATE DATABASE {quoted(name)} TEMPLATE {quoted(template)}{options}")
    comment = _literal(_comment(server.scope, name))
    try:
        await server.connection.execute(f"COMMENT ON DATABASE {quoted(name)} IS {comment}")
    except BaseException:
        await _drop(server, name)
        raise


async def _drop(server: ScratchServer, name: str) -> None:
    """Drop the database with its sessions, on a new connection if the first one is lost."""
    statement = _drop_statement(name)
    try:
        await server.connection.execute(statement, timeout=DROP_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        async with connect(server.scope, server.drill.dsn_secret()) as connection:
            with translate_errors(server.scope):
                await connection.execute("SET statement_timeout = 0")
                await connection.execute(statement, timeout=DROP_SECONDS)


def _drop_statement(name: str) -> str:
    """Return the only statement of the remediator that drops something: a database of the drill's own role."""
    return f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)"


def quoted(name: str) -> str:
    """Return an SQL identifier."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
