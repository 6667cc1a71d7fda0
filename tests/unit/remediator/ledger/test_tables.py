"""Every table stores every value that its columns promise, on both kinds of ledger."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, LargeBinary, Table, insert, select

from remediator.ledger.schema import Instant, metadata
from tests.ledgers import tampering
from tests.unit.remediator.conftest import EngineHarness

TEXT = "é \U0001f600 ' \" \\ %s :name $1"
MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
# As long as a run of one month, or a summary of a message, may need it.
LARGE = 2**62


def value_of(column: Column[Any]) -> Any:
    """Return a value at the limit of the column's type; 1 for a reference, which leads to the row before."""
    if column.foreign_keys:
        return 1
    match column.type:
        case Instant():
            return MOMENT
        case JSON():
            return {"text": TEXT, "nul": "a\x00b", "list": [1, None, 1.5, True]}
        case LargeBinary():
            return bytes(range(256))
        case Float():
            return 1.25
        case Boolean():
            return True
        case BigInteger():
            return 1 if column.primary_key else LARGE
        case Integer():
            return 1
        case _:
            return TEXT


@pytest.mark.parametrize("nullable", [False, True], ids=["full rows", "empty rows"])
async def test_rows_of_every_table_come_back_as_they_were(harness: EngineHarness, nullable: bool) -> None:
    rows = {table: _row(table, without_optional=nullable) for table in metadata.sorted_tables}
    async with tampering(harness.context.ledger) as connection:
        for table, row in rows.items():
            await connection.execute(insert(table).values(**row))
    async with harness.context.ledger.read() as connection:
        for table, row in rows.items():
            [stored] = await connection.execute(select(table))
            assert {name: stored._mapping[name] for name in row} == row, table.name


def _row(table: Table, *, without_optional: bool) -> dict[str, Any]:
    columns = [column for column in table.c if column.primary_key or not (without_optional and column.nullable)]
    return {column.name: value_of(column) for column in columns}
