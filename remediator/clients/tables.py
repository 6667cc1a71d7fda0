"""The tables of a PostgreSQL database, and the right to vacuum and analyze them."""

from collections.abc import Mapping

from remediator.clients.sql_files import load_statements

MAINTAIN_VERSION = 170_000  # the first with the MAINTAIN privilege; before, only a table's owner may maintain it
OWNS = "pg_has_role(class.relowner, 'USAGE')"
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
