"""What a PostgreSQL server is busy with: sessions, waits, who blocks whom, old transactions, slow statements."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from remediator.clients.postgres import answering, connected
from remediator.clients.sql_files import named_statements
from remediator.diagnostics.masking import mask_statement, mask_text
from remediator.model.remediation import Scope

SQL = named_statements(__package__, "postgres.sql")
_SECTIONS = ("blocked", "blockers", "waits", "transactions", "sessions", "locks")
_FROM_PEOPLE = ("role", "application", "relation")


async def read_postgres(scope: Scope) -> Mapping[str, Any]:
    """One list of rows a section; in its place one line of why, where a section can not be read.

    Raises:
        TargetUnreachable: the server can not be asked at all.
    """
    async with connected(scope) as connection:
        with answering(scope):
            found = {name: await _rows(connection, SQL[name]) for name in _SECTIONS}
            view = await connection.fetchval(SQL["extension"])
            if view is not None:
                found["statements"] = await _rows(connection, SQL["statements"].replace("{view}", view))
            return found


async def _rows(connection: asyncpg.Connection, statement: str) -> Any:
    try:
        return [_masked(row) for row in await connection.fetch(statement)]
    except asyncpg.PostgresError as error:
        return f"can not be read: {mask_text(str(error))}"


def _masked(row: asyncpg.Record) -> dict[str, Any]:
    """Names are what people chose, and some choose addresses; statements lose their literals."""
    shown = dict(row)
    for name in _FROM_PEOPLE:
        if shown.get(name):
            shown[name] = mask_text(shown[name])
    if shown.get("statement"):
        shown["statement"] = mask_statement(shown["statement"])
    return shown
