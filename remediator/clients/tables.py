"""The tables of a PostgreSQL database, and the right to vacuum and analyze them."""

from collections.abc import Mapping, Sequence
from typing import Literal

from remediator.clients.sql_files import load_statements
from remediator.model.permanent_fix import Cause
from remediator.model.quoting import sql_name

MAINTAIN_VERSION = 170_000  # the first with the MAINTAIN privilege; before, only a table's owner may maintain it
OWNS = "pg_has_role(class.relowner, 'USAGE')"
DEFAULT_THRESHOLD = 50  # PostgreSQL's own autovacuum_vacuum_threshold
_MAY_MAINTAIN = f"{OWNS} OR has_table_privilege(class.oid, 'MAINTAIN')"


def load_table_statements(package: str, file: str) -> Mapping[str, str]:
    """Load the statements of a remediation on tables, and those that all of them share."""
    return {**load_statements(__package__, "tables.sql"), **load_statements(package, file)}


def may_maintain(version: int) -> str:
    """Return the SQL condition of the right to maintain a table of `class`."""
    return _MAY_MAINTAIN if version >= MAINTAIN_VERSION else OWNS


def maintain_remedy(version: int, role: str, owner: str) -> str:
    """Return how an administrator gives the right to maintain a table of `owner`."""
    if version >= MAINTAIN_VERSION:
        return f'GRANT MAINTAIN on it TO "{role}", see deploy/postgres/maintain_tables.sql'
    return f'before PostgreSQL 17 this takes membership in its owner: GRANT "{owner}" TO "{role}"'


def autovacuum_statements(causes: Sequence[Cause], verb: Literal["vacuum", "analyze"], number: str) -> str:
    """Return the settings with which autovacuum takes the tables at half of the least `number` of rows found."""
    rows: dict[str, int] = {}
    for cause in causes:
        if "schema" in cause.traits and "table" in cause.traits:
            table = f"{sql_name(cause.traits['schema'])}.{sql_name(cause.traits['table'])}"
            found = cause.least.get(number, 2 * DEFAULT_THRESHOLD)
            rows[table] = min(rows.get(table, found), found)
    return "\n".join(
        f"ALTER TABLE {table} SET (autovacuum_enabled = true, autovacuum_{verb}_scale_factor = 0,"
        f" autovacuum_{verb}_threshold = {found // 2});"
        for table, found in rows.items()
    )
