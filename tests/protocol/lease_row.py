"""The row of the lease, changed by the very statements of the code: SQLite runs them, with a clock of the model."""

import sqlite3
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple, Self

from sqlalchemy import TextClause

from remediator.ledger.postgresql import lease, transactions

NOW = 1_000  # always: instead of the clock, the times in the row move
NAMES = "ABC"


class Row(NamedTuple):
    """The lease; `holder` is a replica's number, or one of the past."""

    term: int
    holder: int | None
    expires_at: int


def _sql(statement: TextClause) -> str:
    return statement.text.replace(transactions.NOW, ":now")


@dataclass(frozen=True)
class Statements:
    """The statements of an election, a renewal and a resignation, and the one that every write of a leader asserts."""

    elect: str = _sql(lease._ELECT)
    renew: str = _sql(lease._RENEW)
    resign: str = _sql(lease._RESIGN)
    in_term: str = _sql(transactions._IN_TERM)

    def altered(self, name: str, old: str, new: str) -> Self:
        """Seed a fault: replace a part of one statement, which must be there."""
        statement = getattr(self, name)
        assert old in statement, f"{old!r} is not in {statement!r}"
        return replace(self, **{name: statement.replace(old, new)})


AS_IT_IS = Statements()
_DATABASE = sqlite3.connect(":memory:", isolation_level=None)
_DATABASE.execute("CREATE TABLE leader (term, holder, elected_at, expires_at)")


@cache
def execute(
    statement: str, row: Row, holder: int, term: int | None, ttl: int, now: int, is_abandoned: bool = False
) -> tuple[Row, bool]:
    """Execute a statement on the row; return the row after it, and whether it touched or found it.

    The caller knows whether it has seen the lease unchanged for so long that it `is_abandoned`.
    """
    _DATABASE.execute("DELETE FROM leader")
    _DATABASE.execute("INSERT INTO leader VALUES (?, ?, 0, ?)", row)
    parameters = {"holder": holder, "term": term, "ttl": ttl, "now": now}
    parameters |= {
        "abandoned_term": row.term if is_abandoned else None,
        "abandoned_end": row.expires_at if is_abandoned else None,
    }
    cursor = _DATABASE.execute(statement, parameters)
    touched = bool(cursor.fetchall()) or cursor.rowcount == 1
    changed = _DATABASE.execute("SELECT term, holder, expires_at FROM leader").fetchone()
    return Row(*changed), touched
