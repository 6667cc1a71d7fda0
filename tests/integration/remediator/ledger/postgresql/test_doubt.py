"""A connection that is lost during a commit: what became of it is read, never assumed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from remediator.context import LeaderContext
from remediator.ledger import audit, deliveries
from remediator.ledger.address import postgres_address
from remediator.ledger.postgresql import doubt
from remediator.ledger.postgresql.doubt import CommitInDoubt
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.protocol import Ledger
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import RunState
from tests.integration.remediator.ledger.postgresql.cutting import CuttingProxy, cutting_proxy
from tests.ledgers import LedgerDatabases, leading, ledger_url
from tests.unit.remediator.conftest import START, EngineHarness, ManualClock, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation


@dataclass
class Cut:
    """A ledger behind a proxy, and the same one seen directly."""

    proxy: CuttingProxy
    ledger: PostgresLedger
    url: str
    databases: LedgerDatabases

    def events(self) -> list[str]:
        return self.databases.sql(self.url, "SELECT event FROM audit ORDER BY id").split()


@pytest.fixture
async def cut(tmp_path: Path, ledger_databases: LedgerDatabases) -> AsyncIterator[Cut]:
    url = ledger_url(tmp_path)
    server = ledger_databases.server
    async with cutting_proxy("127.0.0.1", server.port) as (proxy, port):
        address = postgres_address(url.replace(f":{server.port}/", f":{port}/"))
        assert address is not None
        async with PostgresLedger(address).open() as ledger:
            yield Cut(proxy, ledger, url, ledger_databases)


async def write(ledger: Ledger, event: str) -> None:
    async with ledger.write() as connection:
        await audit.append(connection, START, event)


async def error_of_writing(ledger: Ledger, event: str) -> LedgerUnavailable | None:
    try:
        await write(ledger, event)
    except LedgerUnavailable as error:
        return error
    return None


async def test_commit_that_the_server_made_counts_although_its_answer_was_lost(cut: Cut) -> None:
    """Invariant 53."""
    cut.proxy.cut = "after"
    assert await error_of_writing(cut.ledger, "made") is None
    await write(cut.ledger, "next")
    assert cut.proxy.cuts == 1
    assert cut.events() == ["made", "next"]


async def test_commit_that_never_came_is_an_error_and_leaves_nothing(cut: Cut) -> None:
    """Invariant 53."""
    cut.proxy.cut = "before"
    with pytest.raises(LedgerUnavailable) as raised:
        await write(cut.ledger, "lost")
    assert not isinstance(raised.value, CommitInDoubt)
    await write(cut.ledger, "next")
    assert cut.events() == ["next"]


@pytest.mark.parametrize(("how", "events"), [("before", []), ("after", ["made"])])
async def test_commit_is_in_doubt_as_long_as_the_server_does_not_answer(
    cut: Cut, how: str, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 53: the error asks the caller to look; it claims neither outcome."""
    monkeypatch.setattr(doubt, "TRIES", 3)
    cut.proxy.cut, cut.proxy.refuses_afterwards = how, True
    error = await error_of_writing(cut.ledger, "made")
    assert isinstance(error, CommitInDoubt)
    assert "look at what is recorded before you repeat it" in str(error)
    cut.proxy.is_refusing = False
    assert cut.events() == events


async def test_outcome_of_another_timeline_is_not_believed(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 53: after a failover, the number may be that of another transaction."""
    monkeypatch.setattr(cut.ledger._transactions, "history", "(SELECT md5(random()::text))")
    cut.proxy.cut = "after"
    with pytest.raises(CommitInDoubt):
        await write(cut.ledger, "made")


@pytest.mark.parametrize(("how", "is_stored"), [("before", False), ("after", True)])
async def test_delivery_is_accepted_if_and_only_if_it_is_stored(cut: Cut, how: str, is_stored: bool) -> None:
    """Invariants 1 and 53."""
    cut.proxy.cut = how
    try:
        await cut.ledger.accept(START, b"body")
        is_accepted = True
    except LedgerUnavailable:
        is_accepted = False
    async with cut.ledger.read() as connection:
        assert await deliveries.count_unprocessed(connection) == is_stored == is_accepted


@pytest.mark.parametrize("how", ["before", "after"])
async def test_election_whose_answer_was_lost_is_held_again_in_a_new_term(cut: Cut, how: str) -> None:
    """Invariant 36: the process does not wait for its own lease, and does not continue its unseen term."""
    cut.proxy.cut = how
    try:
        async with cut.ledger.lead() as leader:
            assert leader is not None
    except LedgerUnavailable:
        pass
    async with leading(cut.ledger) as leader:
        await write(leader, "led")
    assert cut.events() == ["led"]


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("event", ["admitted", "intended", "settled", "succeeded"])
async def test_run_has_each_effect_once_whatever_commit_is_cut(
    cut: Cut, folder: Path, event: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariants 5, 6 and 53: at the commit that records the event."""
    monkeypatch.setattr(doubt, "TRIES", 3)
    files, clock = FolderRemediation(folder), ManualClock()
    files.fill("a")
    append = audit.append

    async def cut_at(connection: object, at: object, name: str, **rest: object) -> None:
        if name == event and not cut.proxy.cuts:
            cut.proxy.cut = how
        await append(connection, at, name, **rest)  # type: ignore[arg-type]

    async with leading(cut.ledger) as leader:
        context = LeaderContext(inventory(), leader, clock, {"clear_folder": files.remediation()}, None)
        harness = EngineHarness(context, files, clock)
        monkeypatch.setattr("remediator.engine.run_driver.LEDGER_RETRY_SECONDS", 0.05)
        await harness.deliver()
        monkeypatch.setattr(audit, "append", cut_at)
        await harness.work(5)
        [run, *_] = await harness.runs()
        assert cut.proxy.cuts == 1
        assert files.touched == ["a"] or run.state is RunState.INTERRUPTED
        assert files.touched.count("a") <= 1
        assert cut.events().count("intended") == cut.events().count("settled")
