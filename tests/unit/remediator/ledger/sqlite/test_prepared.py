"""A statement that is built once gives the same rows when its kept text is executed, with its types converted."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Executable, bindparam, delete, func, insert, select, tuple_, update

from remediator.ledger.due_episodes import _CANDIDATES
from remediator.ledger.episodes import _OPEN
from remediator.ledger.schema import episode, run
from remediator.ledger.sqlite.memory import MemoryLedger
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import RunState

NOW = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=UTC)
EPISODE = {"stack": "shop", "remediation": "r", "target": "t", "alerts": {"a": {"seen": 1}}}
TIMES = dict.fromkeys(("opened_at", "firing_since", "delivered_at", "confirmed_at"), NOW)


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (_CANDIDATES, {"future": NOW}),
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


_NAMED = select(episode.c.target).where(episode.c.target.in_(bindparam("names", expanding=True))).order_by(episode.c.id)
_KEYED = select(episode.c.target).where(
    tuple_(episode.c.stack, episode.c.target).in_(bindparam("keys", expanding=True)), episode.c.remediation == "r"
)


async def test_a_kept_query_takes_lists_of_any_length() -> None:
    async with MemoryLedger().open() as ledger, ledger.write() as connection:
        await connection.execute(insert(episode), [{**EPISODE, **TIMES, "target": name} for name in "abc"])
        for names in ([], ["a"], ["a", "x", "c"], ["b", "c"], [], ["c"]):
            rows = (await connection.execute(_NAMED, {"names": names})).scalars()
            assert list(rows) == [each for each in "abc" if each in names]
            keyed = (await connection.execute(_KEYED, {"keys": [("shop", each) for each in names]})).scalars()
            assert set(keyed) == set(names) & set("abc")


async def test_a_kept_update_changes_the_columns_that_it_is_given_and_counts_its_rows() -> None:
    statement = update(episode).where(episode.c.target == bindparam("which"))
    async with MemoryLedger().open() as ledger, ledger.write() as connection:
        await connection.execute(insert(episode), [{**EPISODE, **TIMES, "target": name} for name in "ab"])
        results = [
            await connection.execute(statement, {"which": which, **columns})
            for which, columns in (
                ("a", {"end_reason": "first"}),
                ("a", {"ended_at": NOW}),
                ("b", {"end_reason": "other"}),
                ("none", {"ended_at": NOW}),
            )
        ]
        rows = await connection.execute(select(episode.c.end_reason, episode.c.ended_at).order_by(episode.c.id))
        assert [tuple(row) for row in rows] == [("first", NOW), ("other", None)]
    assert [each.rowcount for each in results] == [1, 1, 1, 0]


async def test_a_kept_insert_gives_defaults_and_the_number_of_its_row() -> None:
    statement, removal = insert(run), delete(run).where(run.c.id == bindparam("which"))
    names = {name: EPISODE[name] for name in ("stack", "remediation", "target")}
    row = {**names, "state": RunState.SUCCEEDED, "created_at": NOW, "episode": 1}
    async with MemoryLedger().open() as ledger, ledger.write() as connection:
        await connection.execute(insert(episode).values(**EPISODE, **TIMES))
        keys = [(await connection.execute(statement, row)).inserted_primary_key[0] for _ in range(3)]
        assert [(await connection.execute(removal, {"which": key})).rowcount for key in (1, 3, 3)] == [1, 1, 0]
        [kept] = await connection.execute(select(run.c.id, run.c.reason, run.c.fence, run.c.evidence))
    assert (keys, tuple(kept)) == ([1, 2, 3], (2, "", 1, {}))


async def test_kept_rows_are_written_together() -> None:
    statement = insert(episode)
    async with MemoryLedger().open() as ledger, ledger.write() as connection:
        for names in ("ab", "cd", "ef"):
            await connection.execute(statement, [{**EPISODE, **TIMES, "target": name} for name in names])
        assert (
            "".join((await connection.execute(select(episode.c.target).order_by(episode.c.id))).scalars()) == "abcdef"
        )


async def test_a_row_that_the_database_refuses_is_an_unavailable_ledger_as_elsewhere() -> None:
    statement = insert(episode)
    async with MemoryLedger().open() as ledger:
        for number in range(3):
            async with ledger.write() as connection:
                await connection.execute(statement, {**EPISODE, **TIMES, "target": f"t{number}"})
        with pytest.raises(LedgerUnavailable, match="UNIQUE constraint failed"):
            async with ledger.write() as connection:
                await connection.execute(statement, {**EPISODE, **TIMES, "target": "t0"})
        async with ledger.read() as connection:
            assert (await connection.execute(select(func.count()).select_from(episode))).scalar_one() == 3
