r"""Restores a backup into a scratch database: archives by pg_restore, plain SQL by a psql that refuses its commands.

A dump is a program. An archive cannot reach a shell, because pg_restore only sends its statements. Plain SQL goes
through psql, whose `\!` is a shell: psql is put into its restricted mode first, with a key that the dump cannot know,
and a psql without that mode is refused. Entries that need a superuser, or make sense only beside the product, are left
out.
"""

import asyncio
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from remediator.clients.backup_access import program_environment
from remediator.clients.backup_layers import Peeled
from remediator.clients.backup_reading import ARCHIVE, is_plain, write_file
from remediator.clients.child_process import ProcessResult, run_command, run_reading
from remediator.clients.libpq_env import LibpqConnection
from remediator.clients.tar_end import is_tar
from remediator.masking import mask_secrets
from remediator.model.errors import BackupUnreadable, TargetUnreachable
from runbookd.inventory import Drill

LIST_BYTES = 16 * 1024**2
MAX_LINE = 1024**2  # longer lines of plain SQL are data, and need no look
RESTORE_OPTIONS = (
    "--exit-on-error",
    "--no-owner",
    "--no-privileges",
    "--no-comments",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--no-tablespaces",
)
PSQL_OPTIONS = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-")
# Kinds of entries that a role without superuser cannot create, that name roles, or that connect to other servers.
LEFT_OUT = (
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "POLICY",
    "ROW SECURITY",
    "SERVER",
    "USER MAPPING",
)
_ENTRY = re.compile(rf"^\d+; \d+ \d+ (?P<kind>{'|'.join(LEFT_OUT)}) (?P<name>.*)$")
_RESTRICTION = re.compile(rb"^\\(un)?restrict ([A-Za-z0-9]+)\r?\n$")
_COPY = re.compile(rb"^COPY .* FROM stdin;\r?\n$")
# Whole statements on a line of their own, without a text in which a quote could hide.
_OWNERSHIP = re.compile(
    rb"^(?:ALTER [A-Z ]+ [^';$]+ OWNER TO [^';$]+|(?:GRANT|REVOKE) [^';$]+ (?:TO|FROM) [^';$]+"
    rb"|ALTER DEFAULT PRIVILEGES [^';$]+);\r?\n$"
)
_EXTENSION_COMMENT = re.compile(rb"^COMMENT ON EXTENSION [^';$]+ IS '[^'\\]*';\r?\n$")


_EXTENSION_REMEDY = "; create the extension as a superuser in a template of the scratch server, and set drill.template"


class RestoreFailed(Exception):
    """The backup could not be restored; the message has the program's words."""


@dataclass(frozen=True)
class ScratchTarget:
    """The scratch database, and how a program connects to it; only its name is ever passed as a database."""

    connection: LibpqConnection
    name: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """Return the variables of a program."""
        variables = {key: value for key, value in self.connection.variables.items() if key != "PGDATABASE"}
        connection = replace(self.connection, variables=variables)
        folder = self.folder / secrets.token_hex(4)
        folder.mkdir(mode=0o700)
        return {**program_environment(), **connection.environment(folder), "PSQLRC": os.devnull}


async def restore(peeled: Peeled, drill: Drill, target: ScratchTarget) -> Sequence[str]:
    """Restore the content of a backup; return what was left out.

    Raises:
        RestoreFailed: a program refused it.
        BackupUnreadable: it is damaged, or no dump of PostgreSQL.
        TargetUnreachable: a program is missing or too old.
    """
    if peeled.head.startswith(ARCHIVE) or is_tar(peeled.head):
        return await _restore_archive(peeled.chunks, drill, target)
    if is_plain(peeled.head):
        await _restore_plain(peeled.chunks, drill, target)
        return ()
    raise BackupUnreadable("it is no dump of pg_dump, so it cannot be restored")


async def _restore_archive(chunks: AsyncIterator[bytes], drill: Drill, target: ScratchTarget) -> Sequence[str]:
    file = target.folder / "archive"
    await write_file(chunks, file)
    entries = await _list_entries(_program(drill, "pg_restore"), file)
    left_out = [match for line in entries if (match := _ENTRY.match(line))]
    chosen = target.folder / "entries"
    lines = [line for line in entries if not _ENTRY.match(line)]
    await asyncio.to_thread(chosen.write_text, "\n".join(lines) + "\n", "utf-8", "surrogateescape")
    command = [_program(drill, "pg_restore"), *RESTORE_OPTIONS, f"--use-list={chosen}", f"--dbname={target.name}"]
    result = await run_command([*command, str(file)], target.environment())
    _require_success(result, "pg_restore", target)
    return [f"{match['kind'].lower()} {match['name'].strip()}" for match in left_out]


async def _list_entries(program: str, file: Path) -> list[str]:
    listing = await run_reading([program, "--list", str(file)], program_environment(), LIST_BYTES)
    if listing.status != 0:
        raise BackupUnreadable(f"pg_restore cannot read its table of contents: {listing.error_line}")
    if listing.stdout.startswith("…"):
        raise BackupUnreadable("its table of contents is longer than 16 MiB")
    return [line for line in listing.stdout.split("\n") if line and not line.startswith(";")]


async def _restore_plain(chunks: AsyncIterator[bytes], drill: Drill, target: ScratchTarget) -> None:
    program = _program(drill, "psql")
    await _require_restricted_mode(program, target)
    command = [program, *PSQL_OPTIONS, f"--dbname={target.name}"]
    result = await run_command(command, target.environment(), stdin=restricted(chunks, secrets.token_hex(32)))
    _require_success(result, "psql", target)


async def restricted(chunks: AsyncIterator[bytes], key: str) -> AsyncIterator[bytes]:
    r"""Yield plain SQL after `\restrict KEY`, without the dump's own restriction, and without owners and rights.

    The dump's own `\restrict` stands in its head, before any statement; its `\unrestrict` repeats that key. Every other
    line with a backslash command is left, so that psql refuses it.
    """
    yield f"\\restrict {key}\n".encode()
    is_head, in_copy, is_rest, own = True, False, False, b""
    async for line in _lines(chunks):
        was_rest, is_rest = is_rest, not line.endswith(b"\n")
        if was_rest:
            pass
        elif in_copy:
            in_copy = line not in (b"\\.\n", b"\\.\r\n")
        elif (match := _RESTRICTION.match(line)) and (is_head if not match[1] else match[2] == own):
            own = match[2]
            continue
        elif _OWNERSHIP.match(line) or _EXTENSION_COMMENT.match(line):
            continue
        else:
            is_head = is_head and (not line.strip() or line.startswith(b"--"))
            in_copy = _COPY.match(line) is not None
        yield line


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines; of a very long one its pieces, the last of which has the line break."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(rest) > MAX_LINE:
            yield rest
            rest = b""
    if rest:
        yield rest


async def _require_restricted_mode(program: str, target: ScratchTarget) -> None:
    """Refuse a psql that would run the commands of a dump."""

    async def probe() -> AsyncIterator[bytes]:
        yield b"\\restrict probe\n\\echo unrestricted\n"

    result = await run_command([program, *PSQL_OPTIONS, f"--dbname={target.name}"], target.environment(), stdin=probe())
    if "restricted" not in result.error_line or result.ok:
        raise TargetUnreachable(
            f"{program} cannot refuse the commands in a dump (a line with \\! is a shell), so plain SQL is not restored"
            f" ({result}); install psql 18, or 13.22, 14.19, 15.14, 16.10, 17.6 or a later one of these, or make"
            " archives with pg_dump --format=custom"
        )


def _require_success(result: ProcessResult, name: str, target: ScratchTarget) -> None:
    if not result.ok:
        words = f"{name} {mask_secrets(str(result), target.connection.password)}"
        raise RestoreFailed(words + (_EXTENSION_REMEDY if 'extension "' in words else ""))


def _program(drill: Drill, name: str) -> str:
    program = drill.program(name)
    if shutil.which(program, path=program_environment()["PATH"]) is None:
        raise TargetUnreachable(f"cannot start {program}: no such program; install it, or set drill.programs")
    return program
