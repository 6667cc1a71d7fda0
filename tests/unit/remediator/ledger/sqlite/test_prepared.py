"""A statement that is built once gives the same rows when its kept text is executed, with its types converted."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Executable, bindparam, func, insert, select

from remediator.ledger.due_episodes import _CANDIDATES
from remediator.ledger.episodes import _OPEN
from remediator.ledger.schema import episode, run
from remediator.ledger.sqlite.memory import MemoryLedger
from remediator.model.run_state import RunState

NOW = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=UTC)
EPISODE = {"stack": "shop", "remediation": "r", "target": "t", "alerts": {"a": {"seen": 1}}}
TIMES = dict.fromkeys(("opened_at", "firing_since", "delivered_at", "confirmed_at"), NOW)


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (_CANDIDATES, {}),
        (_OPEN[True, True], {"opened_since": NOW - timedelta(microseconds=1), "first": NOW, "last": NOW}),
        (_OPEN[True, False], {"opened_since": NOW - timedelta(microseconds=1)}),
        (select(func.count(), episode.c.alerts).where(episode.c.confirmed_at <= bindparam("at")), {"at": NOW}),
        (select(run).where(run.c.state.in_(sorted(RunState)), run.c.created_at == bindparam("at")), {"at": NOW}),
    ],
)
async def test_a_kept_query_finds_the_same_rows(statement: Executable, parameters: Mapping[str, Any]) -> None:
    async with MemoryLedger().open() as ledger, ledger.write() as connection:
        await connection.execute(insert(episode).values(**EPISODE, **TIMES))
        names = {name: EPISODE[name] for name in ("stack", "remediation", "target")}
        await connection.execute(insert(run).values(episode=1, state=RunState.PLANNED, created_at=NOW, **names))
        built, kept = [list((await connection.execute(statement, parameters)).mappings()) for _ in range(2)]
    assert [list(each.values()) for each in kept] == [list(each.values()) for each in built]


async def test_a_kept_insert_stores_what_it_is_given_each_time() -> None:
    statement = insert(episode)
    async with MemoryLedger().open() as ledger:
        async with ledger.write() as connection:
            for number in range(3):
                await connection.execute(statement, {**EPISODE, **TIMES, "target": f"t{number}", "ended_at": NOW})
        async with ledger.read() as connection:
            rows = await connection.execute(select(episode.c.target, episode.c.alerts, episode.c.ended_at))
            assert [tuple(row) for row in rows] == [(f"t{number}", EPISODE["alerts"], NOW) for number in range(3)]


async def _fail_after_an_insert(ledger: MemoryLedger) -> None:
    async with ledger.write() as connection:
        await connection.execute(insert(episode).values(**EPISODE, **TIMES))
        raise ZeroDivisionError


async def test_a_transaction_that_fails_leaves_nothing_behind() -> None:
    async with MemoryLedger().open() as ledger:
        with pytest.raises(ZeroDivisionError):
            await _fail_after_an_insert(ledger)
        async with ledger.read() as connection:
            assert (await connection.execute(select(func.count()).select_from(episode))).scalar_one() == 0
