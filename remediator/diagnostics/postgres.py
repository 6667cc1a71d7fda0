"""Diagnostics of a PostgreSQL server: sessions, waits, blockers, locks, slow statements."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from remediator.clients.postgres import connect, translate_errors
from remediator.clients.sql_files import load_statements
from remediator.masking import mask_statement, mask_text
from remediator.model.remediation import Scope

SQL = load_statements(__package__, "postgres.sql")
_SECTIONS = ("blocked", "blockers", "waits", "transactions", "sessions", "locks")
_FREE_TEXT_COLUMNS = ("role", "application", "relation")


async def read_postgres(scope: Scope) -> Mapping[str, Any]:
    """Read one list of rows per section, or one line with the section's error.

    Raises:
        TargetUnreachable: the server does not answer.
    """
    async with connect(scope) as connection:
        with translate_errors(scope):
            await _accept_any_text(connection)
            sections = {name: await _rows(connection, SQL[name]) for name in _SECTIONS}
            view = await connection.fetchval(SQL["extension"])
            if view is not None:
                statements = [SQL[name].replace("{view}", view) for name in ("statements", "statement_numbers")]
                sections["statements"] = await _rows(connection, *statements)
            return sections


async def _accept_any_text(connection: asyncpg.Connection) -> None:
    """Show bytes that are not UTF-8 as such: statements and names of other databases come in their own encoding."""
    for type_name in ("text", "name"):
        await connection.set_type_codec(
            type_name, schema="pg_catalog", encoder=str.encode, decoder=_readable, format="binary"
        )


def _readable(text: bytes) -> str:
    return text.decode(errors="replace")


async def _rows(connection: asyncpg.Connection, statement: str, without_texts: str = "") -> Any:
    try:
        return [_mask_row(row) for row in await connection.fetch(statement)]
    except asyncpg.PostgresError as error:
        if without_texts and isinstance(error, asyncpg.CharacterNotInRepertoireError):
            return await _rows(connection, without_texts)
        return f"cannot read: {mask_text(str(error))}"


def _mask_row(row: asyncpg.Record) -> dict[str, Any]:
    """Mask names, which may contain addresses, and the literals of statements."""
    columns = dict(row)
    for name in _FREE_TEXT_COLUMNS:
        if columns.get(name):
            columns[name] = mask_text(columns[name])
    if columns.get("statement"):
        columns["statement"] = mask_statement(columns["statement"])
    return columns
