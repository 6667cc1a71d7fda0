"""Checks what `run_backup` needs to make a dump: the login, the rights of its role, and the versions of the tools."""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import asyncpg

from runbookctl.doctor.finding import Finding
from runbookd.addresses import AddressError
from runbookd.addresses.postgres import read_postgres_address
from runbookd.inventory import DumpSource, Secret, SecretError
from runbookd.network_errors import REMEDY, network_error_text

SECONDS = 15.0
_FACTS = resources.files(__package__).joinpath("dump.sql").read_text(encoding="utf-8")
_VERSION = re.compile(rb"\(PostgreSQL\) (\d+)")
# The programs whose version counts: a dump works with servers up to its own.
_VERSIONED = ("pg_dump", "pg_dumpall", "pg_restore")


@dataclass(frozen=True)
class DumpFacts:
    """The session's role, the server's version, and the number of tables and sequences that it may not read."""

    role: str
    version: int
    unreadable: int


async def check(dump: DumpSource) -> list[Finding]:
    """Check both commands, and the database where this user can read `dump.dsn`."""
    findings = [*_missing_programs(dump)]
    dumping, checking = await _version_of(dump.command), await _version_of(dump.check)
    if dumping and checking and checking < dumping:
        findings.append(
            Finding(
                f"{_name(dump.check)} {checking} cannot read a dump of {_name(dump.command)} {dumping}",
                f"set dump.check to a {_name(dump.check)} of version {dumping} or later",
            )
        )
    secret = dump.dsn_secret()
    return [*findings, *(await _check_database(secret, dump, dumping) if _is_readable(secret) else [])]


def _missing_programs(dump: DumpSource) -> Iterator[Finding]:
    for key, command in (("command", dump.command), ("check", dump.check)):
        if shutil.which(command[0]) is None:
            yield Finding(
                f"dump.{key}: there is no program {command[0]}", "install it, put it on PATH, or write its whole path"
            )


async def _version_of(command: Sequence[str]) -> int | None:
    """Return the major version of a PostgreSQL program, or None for any other."""
    program = shutil.which(command[0])
    if program is None or _name(command) not in _VERSIONED:
        return None
    process = await asyncio.create_subprocess_exec(
        program, "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        return None
    match = _VERSION.search(output)
    return int(match[1]) if match else None


async def _check_database(secret: Secret, dump: DumpSource, version: int | None) -> list[Finding]:
    try:
        address = read_postgres_address(secret.read())
    except AddressError as error:
        return [Finding(f"{secret.key}: {error}", "correct it in the inventory")]
    try:
        facts = await _facts(address.driver_url)
    except asyncpg.PostgresError as error:
        problem = address.hide(str(error).partition("\n")[0])
        return [Finding(f"{secret.key}: {problem}", "check that the role may log in, and its password")]
    except OSError as error:
        return [Finding(f"{secret.key}: {network_error_text(error)}", REMEDY)]
    except (asyncpg.InterfaceError, ValueError):  # the text may repeat the address
        return [Finding(f"{secret.key}: the driver cannot use the address", "correct it in the inventory")]
    return [*_rights(secret, facts), *_versions(dump, version, facts)]


async def _facts(driver_url: str) -> DumpFacts:
    async with asyncio.timeout(SECONDS):
        connection = await asyncpg.connect(driver_url, timeout=SECONDS, statement_cache_size=0)
        try:
            return DumpFacts(**json.loads(await connection.fetchval(_FACTS)))
        finally:
            connection.terminate()


def _rights(secret: Secret, facts: DumpFacts) -> Iterator[Finding]:
    if facts.unreadable:
        tables = "1 table or sequence" if facts.unreadable == 1 else f"{facts.unreadable} tables and sequences"
        role = '"' + facts.role.replace('"', '""') + '"'
        yield Finding(f"{secret.key}: role {facts.role} may not read {tables}", f"GRANT pg_read_all_data TO {role};")


def _versions(dump: DumpSource, version: int | None, facts: DumpFacts) -> Iterator[Finding]:
    if version is not None and version < facts.version:
        yield Finding(
            f"{_name(dump.command)} {version} cannot dump a server of version {facts.version}",
            f"install postgresql-client-{facts.version}, or write the path of its {_name(dump.command)} into"
            " dump.command",
        )


def _name(command: Sequence[str]) -> str:
    return Path(command[0]).name


def _is_readable(secret: Secret) -> bool:
    """Return whether this user can read it; without one the command knows its database itself."""
    try:
        return secret.configured and bool(secret.read())
    except SecretError:
        return False
