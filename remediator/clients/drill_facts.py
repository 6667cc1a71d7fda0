"""Reads a restored database, and compares it with what the product's server estimates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from remediator.clients.drill_source import TABLES, DrillSource
from remediator.clients.postgres import connect, translate_errors
from remediator.clients.scratch_database import quoted
from remediator.model.remediation import Scope
from runbookd.inventory import Drill, format_duration

MANY_ROWS = 1000
"""Estimates below this are too rough for a share."""
MAX_NAMED = 5
MAX_MARKED = 400
OTHERS = "(other tables)"
_EXTENSIONS = "SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
_NAMED_TABLES = """
    SELECT format('%s.%s', nspname, relname) AS name, nspname::text AS schema, relname::text AS table_name
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p')
"""


@dataclass(frozen=True)
class RestoredFacts:
    """The counted rows per table, the extensions, and the time of the newest row."""

    rows: Mapping[str, int]
    extensions: Sequence[str]
    newest_row_at: datetime | None = None

    def marked_rows(self) -> dict[str, int]:
        """Return the rows for a marker, which has room for the largest tables; the rest is one sum."""
        by_size = sorted(self.rows.items(), key=lambda each: each[1], reverse=True)
        rest = sum(rows for _, rows in by_size[MAX_MARKED:])
        return dict(by_size[:MAX_MARKED]) | ({OTHERS: rest} if len(by_size) > MAX_MARKED else {})


async def read_restored(scope: Scope, drill: Drill, name: str) -> RestoredFacts:
    """Count the rows of the scratch database `name`; foreign tables, which would reach other servers, are left out."""
    async with connect(scope, drill.dsn_secret(), database=name) as connection:
        with translate_errors(scope):
            await connection.execute("SET statement_timeout = 0; SET TimeZone = 'UTC'")
            places = {each["name"]: each for each in await connection.fetch(_NAMED_TABLES)}
            names = [each["name"] for each in await connection.fetch(TABLES)]
            rows = {each: await _count(connection, places[each]) for each in names}
            extensions = [each[0] for each in await connection.fetch(_EXTENSIONS)]
            newest = [
                await _newest(connection, places[table], column)
                for table, column in drill.newest.items()
                if table in places
            ]
    times = [each for each in newest if each is not None]
    return RestoredFacts(rows, extensions, max(times, default=None))


def _place(table: asyncpg.Record) -> str:
    return f"{quoted(table['schema'])}.{quoted(table['table_name'])}"


async def _count(connection: asyncpg.Connection, table: asyncpg.Record) -> int:
    return int(await connection.fetchval(f"SELECT count(*) FROM ONLY {_place(table)}"))  # noqa: S608 - quoted


async def _newest(connection: asyncpg.Connection, table: asyncpg.Record, column: str) -> datetime | None:
    found: datetime | None = await connection.fetchval(
        f"SELECT max({quoted(column)})::timestamptz FROM {_place(table)}"  # noqa: S608 - quoted
    )
    return found


def shortfalls(
    drill: Drill, source: DrillSource, restored: RestoredFacts, made_at: datetime, *, has_rows: bool
) -> list[str]:
    """Return what the restored database lacks."""
    tables = [each for each in source.rows if each not in drill.ignore]
    missing = [each for each in tables if each not in restored.rows]
    short = [
        f"{each} has {restored.rows[each]} rows of about {source.rows[each]}"
        for each in tables
        if has_rows and each in restored.rows and _is_short(source.rows[each], restored.rows[each], drill.min_share)
    ]
    found = [f"{_named(missing)} missing"] if missing else []
    found += [_list(short)] if short else []
    if has_rows and any(source.rows.values()) and not any(restored.rows.values()):
        found.append("no table has a row")
    if lost := sorted(set(source.extensions) - set(restored.extensions)):
        found.append(f"the extensions {', '.join(lost)} are missing")
    return found + (_age_problem(drill, restored, made_at) if has_rows else [])


def _is_short(estimate: int, rows: int, min_share: float) -> bool:
    return estimate >= MANY_ROWS and rows < min_share * estimate


def _age_problem(drill: Drill, restored: RestoredFacts, made_at: datetime) -> list[str]:
    if not drill.newest:
        return []
    if restored.newest_row_at is None:
        return [f"no row in {', '.join(drill.newest)} tells its time"]
    age = max(made_at - restored.newest_row_at, timedelta(0))
    if drill.max_data_age is None or age <= drill.max_data_age:
        return []
    limit = format_duration(drill.max_data_age)
    return [f"the newest row is {format_duration(_whole(age))} older than the backup, max_data_age is {limit}"]


def _whole(age: timedelta) -> timedelta:
    return timedelta(seconds=round(age.total_seconds()))


def _named(tables: Sequence[str]) -> str:
    return (
        f"{len(tables)} tables of the product ({_list(tables)}) are" if len(tables) > 1 else f"the table {tables[0]} is"
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")
