"""Checks the daemons' roles in PostgreSQL against deploy/postgres/."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

import asyncpg

from exporter.collectors import COLLECTORS
from exporter.postgres.connect import target_error
from exporter.scheduling.outcome import failure_of
from runbookctl.doctor.finding import Finding
from runbookd.addresses import AddressError
from runbookd.addresses.postgres import read_postgres_address
from runbookd.inventory import Mode, PostgresTarget, RemediationSettings, Secret, SecretError, Stack

OLDEST = 13
MAINTAIN_VERSION = 17
MAINTAINING = ("analyze_tables", "vacuum_tables")
SECONDS = 15.0
EXTENSION = "pg_stat_statements"
_FACTS = resources.files(__package__).joinpath("postgres.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Role:
    """The rights and limits that a daemon's role needs.

    `settings` holds each limit's recommended value.
    """

    needs: tuple[str, ...]
    may_have: frozenset[str]
    connections: int
    settings: Mapping[str, str]
    statistics: bool = False


_MONITOR = ("pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables")
EXPORTER = Role(
    needs=("pg_monitor",),
    may_have=frozenset({"pg_monitor", *_MONITOR}),
    connections=4,
    settings={
        "default_transaction_read_only": "on",
        "statement_timeout": "'10s'",
        "lock_timeout": "'1s'",
        "idle_session_timeout": "'5min'",
        "tcp_keepalives_idle": "30",
    },
    statistics=True,
)
REMEDIATOR = Role(
    needs=("pg_signal_backend", "pg_read_all_stats"),
    may_have=frozenset({"pg_signal_backend", "pg_read_all_stats", "pg_maintain"}),
    connections=5,
    settings={
        "default_transaction_read_only": "on",
        "statement_timeout": "'10s'",
        "lock_timeout": "'2s'",
        "idle_session_timeout": "'60s'",
        "tcp_keepalives_idle": "30",
    },
)
# Linux's default is two hours: too late to notice a lost connection.
_LONGEST_KEEPALIVE = 300


@dataclass(frozen=True)
class RoleFacts:
    """The session's role, as the server reports it; see postgres.sql."""

    role: str
    database: str
    version: int
    attributes: Sequence[str]
    connection_limit: int
    has: Sequence[str]
    member_of: Sequence[str]
    settings: Mapping[str, str]
    extensions: Sequence[str]
    writable: Sequence[Mapping[str, Any]]
    unmaintained: Sequence[Mapping[str, Any]]
    creatable: Sequence[str]

    @property
    def quoted_role(self) -> str:
        """The role as an SQL identifier."""
        return '"' + self.role.replace('"', '""') + '"' if not _is_plain(self.role) else self.role


async def check(stack: Stack, name: str) -> list[Finding]:
    """Check the exporter's role, the user's queries and the remediator's role.

    Skips the remediator's role if admin_dsn is not readable here.
    """
    target = stack.postgres[name]
    findings = [*await _check_role(target.dsn_secret(), EXPORTER), *await _check_queries(stack, name)]
    return findings + await _check_remediator(stack, target)


async def _check_remediator(stack: Stack, target: PostgresTarget) -> list[Finding]:
    secret = target.admin_dsn_secret()
    try:
        secret.read()
    except SecretError:  # not set, or readable by the remediator only
        return []
    findings = await _check_role(secret, REMEDIATOR, stack.remediations)
    return [Finding(f"admin_dsn: {each.problem}", each.repair) for each in findings]


async def _check_role(
    secret: Secret, role: Role, remediations: Mapping[str, RemediationSettings] = MappingProxyType({})
) -> list[Finding]:
    try:
        address = read_postgres_address(secret.read())
    except AddressError as error:
        return [Finding(str(error), f"correct {secret.key} in the inventory")]
    try:
        facts = await _facts(address.driver_url)
    except asyncpg.PostgresError as error:
        return [
            Finding(address.hide(str(error).partition("\n")[0]), "check that the role may log in, and its password")
        ]
    except (asyncpg.InterfaceError, asyncpg.TargetServerAttributeNotMatched, OSError, ValueError) as error:
        return [Finding(str(target_error(error)), f"check {secret.key} in the inventory")]
    found = [*_rights(facts, role), *_writes(facts), *_limits(facts, role), *_maintenance(facts, remediations)]
    return [*found, *(_server(facts) if role.statistics else [])]


async def _facts(driver_url: str) -> RoleFacts:
    """Read on a plain connection: session settings would hide the role's own limits."""
    async with asyncio.timeout(SECONDS):
        connection = await asyncpg.connect(driver_url, timeout=SECONDS, statement_cache_size=0)
        try:
            facts = json.loads(await connection.fetchval(_FACTS))
        finally:
            connection.terminate()
    lists = ("has", "member_of", "extensions", "writable", "unmaintained", "creatable")
    return RoleFacts(**{**facts, **{key: facts[key] or [] for key in lists}})


def _rights(facts: RoleFacts, role: Role) -> Iterator[Finding]:
    if facts.attributes:
        repair = f"ALTER ROLE {facts.quoted_role} {' '.join(f'NO{each}' for each in facts.attributes)};"
        yield Finding(f"role {facts.role} is {' and '.join(facts.attributes)}", repair)
        if "SUPERUSER" in facts.attributes:  # a superuser is a member of every role
            return
    for needed in role.needs:
        if needed not in facts.has:
            yield Finding(f"role {facts.role} lacks {needed}", f"GRANT {needed} TO {facts.quoted_role};")
    for other in facts.member_of:
        if other not in role.may_have:
            yield Finding(
                f"role {facts.role} is a member of {other}, and has all its rights",
                f"REVOKE {_identifier(other)} FROM {facts.quoted_role};",
            )


def _writes(facts: RoleFacts) -> Iterator[Finding]:
    if "SUPERUSER" in facts.attributes:
        return
    for table in facts.writable:
        if table["owner"]:
            repair = f"ALTER TABLE {table['name']} OWNER TO …; -- the role that should own it"
            yield Finding(f"role {facts.role} owns {table['name']}", repair)
        else:
            repair = f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {table['name']} FROM {facts.quoted_role}, PUBLIC;"
            yield Finding(f"role {facts.role} may write to {table['name']}", repair)
    for schema in facts.creatable:
        repair = f"REVOKE CREATE ON SCHEMA {schema} FROM {facts.quoted_role};"
        yield Finding(f"role {facts.role} may create tables in schema {schema}", repair)


def _limits(facts: RoleFacts, role: Role) -> Iterator[Finding]:
    for name, value in role.settings.items():
        if name in facts.settings and not _is_limited(name, facts.settings[name]):
            yield Finding(f"role {facts.role} has no {name}", f"ALTER ROLE {facts.quoted_role} SET {name} = {value};")
    if facts.connection_limit < 0:
        repair = f"ALTER ROLE {facts.quoted_role} CONNECTION LIMIT {role.connections};"
        yield Finding(f"role {facts.role} may take every connection of the server", repair)


def _maintenance(facts: RoleFacts, remediations: Mapping[str, RemediationSettings]) -> Iterator[Finding]:
    """Report tables that the remediations on tables may not touch, and a mode that the server cannot allow."""
    modes = {name: remediations[name].mode for name in MAINTAINING if name in remediations}
    if modes.get("vacuum_tables") is Mode.AUTO and facts.version < MAINTAIN_VERSION:
        problem = f"PostgreSQL {facts.version} has no MAINTAIN: the runs of vacuum_tables are refused in mode auto"
        yield Finding(problem, f"set mode: approve for vacuum_tables, or upgrade to PostgreSQL {MAINTAIN_VERSION}")
    if facts.unmaintained and any(mode is not Mode.OFF for mode in modes.values()):
        first, count = facts.unmaintained[0], len(facts.unmaintained)
        options = f"-v owner={_identifier(first['owner'])} -v schema={_identifier(first['schema'])}"
        yield Finding(
            f"role {facts.role} may not vacuum and analyze {first['name']} ({count} such tables)",
            f"psql -d {facts.database} {options} -f deploy/postgres/maintain_tables.sql",
        )


def _is_limited(name: str, setting: str) -> bool:
    if name == "default_transaction_read_only":
        return setting == "on"
    # A Unix socket has no keepalives and the setting reads 0; such a connection never dies unnoticed.
    if name == "tcp_keepalives_idle":
        return int(setting) <= _LONGEST_KEEPALIVE
    return int(setting) > 0


def _server(facts: RoleFacts) -> Iterator[Finding]:
    if facts.version < OLDEST:
        yield Finding(f"PostgreSQL {facts.version} is too old", f"upgrade it to {OLDEST} or newer")
    for name in ("track_activities", "track_counts"):
        if facts.settings[name] == "off":
            repair = f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"
            yield Finding(f"{name} is off: the server collects no such statistics", repair)
    yield from _statements(facts)


def _statements(facts: RoleFacts) -> Iterator[Finding]:
    # A role that may not read the setting already has a finding for that.
    if EXTENSION not in facts.settings.get("shared_preload_libraries", EXTENSION):
        repair = f"ALTER SYSTEM SET shared_preload_libraries = '{EXTENSION}'; -- append to its value, and restart"
        yield Finding(f"{EXTENSION} is not loaded: statements are not counted", repair, optional=True)
    elif EXTENSION not in facts.extensions:
        repair = f"CREATE EXTENSION {EXTENSION};"
        yield Finding(f"database {facts.database} has no extension {EXTENSION}", repair, optional=True)
    elif facts.settings.get(f"{EXTENSION}.track") == "none":
        repair = f"ALTER SYSTEM SET {EXTENSION}.track = top; SELECT pg_reload_conf();"
        yield Finding(f"{EXTENSION}.track is none: statements are not counted", repair, optional=True)


async def _check_queries(stack: Stack, name: str) -> list[Finding]:
    """Run each of the user's queries once, as the exporter does."""
    jobs = COLLECTORS["postgres"](stack, name).jobs
    if jobs is None:
        return []
    session, findings = jobs.session(), []
    try:
        for job in jobs.jobs:
            if job.name.startswith("queries."):
                try:
                    await job.run(session, asyncio.get_running_loop().time() + job.timeout.total_seconds())
                except Exception as error:  # whatever it is, the next query is still checked
                    findings.append(Finding(f"{job.name}: {failure_of(error).reason}", _query_repair(str(error))))
    finally:
        await session.close()
    return findings


def _query_repair(reason: str) -> str:
    for kind in ("table", "view", "materialized view", "schema"):
        before, separator, rest = reason.partition(f"permission denied for {kind} ")
        if separator and not before:
            right = "USAGE ON SCHEMA" if kind == "schema" else "SELECT ON"
            return (
                f"GRANT {right} {_identifier(rest.strip())} TO …; -- the role in dsn; safer: only the columns it reads"
            )
    return "fix its sql in the inventory"


def _identifier(name: str) -> str:
    return name if _is_plain(name) else '"' + name.replace('"', '""') + '"'


def _is_plain(name: str) -> bool:
    return name.isascii() and name.replace("_", "a").isalnum() and name == name.lower() and not name[0].isdigit()
