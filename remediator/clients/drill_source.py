"""The facts of the product's database that a restored backup is compared with; it is only read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remediator.clients.postgres import connect, translate_errors
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope
from runbookd.inventory import Drill

# Estimates: a count would read every table. Tables of an extension are made by the extension, without their rows.
TABLES = """
    SELECT format('%s.%s', nspname, relname) AS name,
           CASE WHEN reltuples >= 0 THEN reltuples ELSE pg_stat_get_live_tuples(c.oid) END::int8 AS rows
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND relpersistence <> 't' AND nspname NOT IN ('pg_catalog', 'information_schema')
      AND nspname NOT LIKE 'pg\\_toast%' AND nspname NOT LIKE 'pg\\_temp%'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
    ORDER BY 1
"""
_SERVER = """
    SELECT system_identifier::text AS server, pg_database_size(current_database()) AS size,
           pg_encoding_to_char(encoding) AS encoding, current_database()::text AS name
    FROM pg_control_system(), pg_database WHERE datname = current_database()
"""
_EXTENSIONS = "SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
_IDENTIFIER = "SELECT system_identifier::text FROM pg_control_system()"


@dataclass(frozen=True)
class DrillSource:
    """The product's database: its size in bytes, its estimated rows per table and its extensions.

    `servers` are the identifiers of the clusters of all the stack's PostgreSQL targets.
    """

    size: int
    encoding: str
    rows: Mapping[str, int]
    extensions: Sequence[str]
    servers: Sequence[tuple[str, str]]


async def read_source(scope: Scope, drill: Drill) -> DrillSource:
    """Read the facts with each target's `admin_dsn`.

    Raises:
        TargetUnreachable: one does not answer, so whether the scratch server is another one cannot be told.
    """
    source = scope.at("postgres", drill.postgres)
    async with connect(source) as connection:
        with translate_errors(source):
            server = await connection.fetchrow(_SERVER)
            tables = await connection.fetch(TABLES)
            extensions = await connection.fetch(_EXTENSIONS)
    if server is None:
        raise TargetUnreachable(f"{source.target}: does not tell which server it is")
    others = [(str(source.target), server["server"]), *await _other_servers(scope, drill)]
    rows = {each["name"]: each["rows"] for each in tables}
    return DrillSource(server["size"], server["encoding"], rows, [each[0] for each in extensions], others)


async def _other_servers(scope: Scope, drill: Drill) -> list[tuple[str, str]]:
    found = []
    for name, target in scope.stack.postgres.items():
        if name != drill.postgres and target.admin_dsn_secret().configured:
            other = scope.at("postgres", name)
            async with connect(other) as connection:
                with translate_errors(other):
                    found.append((str(other.target), await connection.fetchval(_IDENTIFIER)))
    return found
