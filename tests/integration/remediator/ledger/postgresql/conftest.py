"""Ledgers in PostgreSQL. The tests here are those of tests/unit and tests/invariants, run once more on them."""

from collections.abc import Iterator

import pytest

from tests.ledgers import LedgerDatabases, on_postgresql
from tests.unit.remediator.conftest import folder, harness

__all__ = ["folder", "harness"]


@pytest.fixture(autouse=True)
def in_postgresql(ledger_databases: LedgerDatabases) -> Iterator[None]:
    with on_postgresql(ledger_databases):
        yield
