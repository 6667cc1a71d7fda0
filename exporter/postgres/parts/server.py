"""The facts of a server that decide which parts it can answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

EXTENSION = "pg_stat_statements"
VERSIONS = range(13, 19)
EXTENSION_VERSIONS = range(108, 113)
"""From 1.8 (PostgreSQL 13) to 1.12 (PostgreSQL 18)."""

FACTS = f"""
ARRAY[
    current_setting('server_version_num'),
    pg_is_in_recovery()::text,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')::text,
    (SELECT extversion FROM pg_extension WHERE extname = '{EXTENSION}'),
    (SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace
     WHERE extname = '{EXTENSION}')
]
"""
"""SQL of the facts, part of every reading: the next one shows a promotion, a grant or a new extension."""


@dataclass(frozen=True)
class ServerInfo:
    """Facts of a server: its major version, its role, and its pg_stat_statements.

    `extension` is the version of pg_stat_statements, as 109 for 1.9; `schema` is where it is installed.
    """

    version: int
    recovery: bool = False
    sees_sessions: bool = True
    extension: int | None = None
    schema: str = ""

    @classmethod
    def of(cls, facts: Sequence[str | None]) -> "ServerInfo":
        """Parse the row of `FACTS`."""
        number, recovery, sees_sessions, extension, schema = facts
        return cls(
            int(number or 0) // 10000, recovery == "true", sees_sessions == "true", _number(extension), schema or ""
        )


def _number(version: str | None) -> int | None:
    match = re.fullmatch(r"(\d+)\.(\d+)", version or "")
    return int(match[1]) * 100 + int(match[2]) if match else None
