"""Pages in a large ledger: no statement of a page reads a large table as a whole, and lists of runs end."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import run_list
from remediator.ledger.address import ledger_at
from remediator.ledger.run_list import RunPage, list_runs
from remediator.ledger.schema import episode, run
from remediator.model.run_state import RunState as S
from tests.unit.remediator.console.pages.world import START, Visit

LARGE = re.compile(r"SCAN (delivery|episode|run|item|outbox|audit)\b(?! USING)|TEMP B-TREE FOR (GROUP|ORDER) BY")
PATHS = ("/", "/stacks/shop", "/runs", "/runs?stack=shop", "/runs?remediation=clear_folder", "/runs?state=refused")
MORE = (
    "/approvals",
    "/approvals?before=900",
    "/duties",
    "/audit",
    "/audit?before=900",
    "/audit?run=1",
    "/audit?head=0123",
    "/start",
    "/runs?stack=shop&state=refused",
    "/runs?before=3",
    "/runs/1",
    "/runs/3",
    "/pause",
)
# The lists of what is open now stay short in an old ledger; these sort or group only that, or the newest rows.
SHORT = re.compile(
    r"ORDER BY (run|audit)\.id DESC\s+LIMIT|state IN|ended_at IS NULL|run_id|WHERE item\.run"
    r"|duty|deploy|breaker|pause|storm|tally|planned_undo"
)


@pytest.mark.asyncio(loop_scope="module")
async def test_no_statement_of_a_page_reads_a_large_table_as_a_whole(console: Visit) -> None:
    statements: dict[str, Any] = {}

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith("SELECT"):
            statements[statement] = parameters

    engine = console.context.ledger._engine.sync_engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", note)
    for path in (*PATHS, *MORE):
        await console.page(path)
    event.remove(engine, "before_cursor_execute", note)
    assert len(statements) > 30
    async with console.context.ledger.read() as connection:
        plans = [
            (text, row[3])
            for text, parameters in statements.items()
            for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
        ]
    assert [(text, step) for text, step in plans if LARGE.search(step) and not SHORT.search(text)] == []


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def many_runs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AsyncConnection]:
    """Yield a ledger with 60 runs: every second of `shop`, every third refused, every twentieth failed."""
    folder = tmp_path_factory.mktemp("runs")
    async with ledger_at(f"sqlite:///{folder}/ledger.db").open() as ledger, ledger.write() as connection:
        names = {"remediation": "clear_folder", "target": "t"}
        times = dict.fromkeys(("opened_at", "firing_since", "delivered_at", "confirmed_at", "ended_at"), START)
        await connection.execute(insert(episode).values(id=1, stack="shop", **names, **times, alerts={}))
        rows = [
            {"episode": 1, "stack": ("shop", "billing")[number % 2], **names, "state": state, "created_at": START}
            for number in range(60)
            for state in [S.FAILED if number % 20 == 0 else S.REFUSED if number % 3 == 0 else S.SUCCEEDED]
        ]
        await connection.execute(insert(run), rows)
        yield connection


FILTERS: list[dict[str, Any]] = [
    {},
    {"stack": "shop"},
    {"remediation": "clear_folder"},
    {"state": S.FAILED},
    {"state": [S.FAILED, S.REFUSED]},
    {"stack": "shop", "state": S.FAILED},
    {"stack": "shop", "remediation": "clear_folder"},
    {"stack": "shop", "remediation": "clear_folder", "state": S.REFUSED},
    {"stack": "shop", "remediation": "nothing"},
    {"stack": "nobody", "state": S.FAILED},
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("limits", [(2_000, 5_000), (3, 5), (0, 1)])
@pytest.mark.parametrize("filters", FILTERS, ids=str)
async def test_pages_of_runs_hold_every_match_once(
    many_runs: AsyncConnection, monkeypatch: pytest.MonkeyPatch, filters: dict[str, Any], limits: tuple[int, int]
) -> None:
    everything = (await list_runs(many_runs, limit=1_000)).runs
    monkeypatch.setattr(run_list, "FEW", limits[0])
    monkeypatch.setattr(run_list, "WINDOW", limits[1])
    wanted = [each.id for each in everything if _matches(each, filters)]
    found, page = [], RunPage((), 10_000)
    while page.next is not None:
        page = await list_runs(many_runs, limit=4, before=page.next, **filters)
        found += [each.id for each in page.runs]
        assert len(page.runs) <= 4
    assert found == wanted


def _matches(each: Any, filters: dict[str, Any]) -> bool:
    states = filters.get("state")
    return all(getattr(each, name) == value for name, value in filters.items() if name != "state") and (
        states is None or each.state in (states if isinstance(states, list) else [states])
    )
