"""Makes each new SQLite ledger a copy of an empty one: to create its tables takes 80 ms of CPU, in most tests."""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest

_STORE = "remediator.ledger.sqlite.store"


@contextmanager
def ledgers_from_template() -> Iterator[None]:
    """Let the ledgers that this process opens begin with all tables. Other processes create theirs step by step."""
    if _STORE not in sys.modules:  # this test opens none
        yield
        return
    create = sys.modules[_STORE]._create_file

    def create_filled(ledger: Path) -> None:
        create(ledger)
        with suppress(OSError):
            if not ledger.stat().st_size:
                ledger.write_bytes(_template())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{_STORE}._create_file", create_filled)
        yield


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as outside_of_the_loop:
        file = Path(folder, "ledger.db")
        outside_of_the_loop.submit(lambda: asyncio.run(_make(file))).result()
        return file.read_bytes()


async def _make(file: Path) -> None:
    from remediator.ledger.sqlite import store

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_create_file", lambda ledger: ledger.touch(0o600))
        async with store.SqliteLedger(f"sqlite:///{file}").open():
            pass
