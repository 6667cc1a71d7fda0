"""A ledger that lacks history which a replica knows, or may lack it: it is paused, with the way out."""

import asyncio
from pathlib import Path

import pytest

from remediator.ledger import audit, switches
from remediator.ledger.outdated import MOVED_LEDGER, OUTDATED_LEDGER
from remediator.ledger.postgresql.lease import Term
from remediator.ledger.postgresql.transactions import Fenced, MissingHistory
from remediator.ledger.protocol import Ledger
from tests.ledgers import TTL, LedgerDatabases, leading, ledger_in, ledger_url
from tests.unit.remediator.conftest import START

LOSE_THE_NEWEST = "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)"
MOVE = "UPDATE leader SET origin = 'elsewhere'"


async def write(ledger: Ledger, event: str = "test") -> None:
    async with ledger.write() as connection:
        await audit.append(connection, START, event)


async def pauses(ledger: Ledger) -> list[str]:
    async with ledger.read() as connection:
        return [each.reason for each in await switches.active_pauses(connection, START)]


async def test_leader_whose_newest_row_is_gone_pauses_and_leads_no_longer(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    """Invariant 54: what it remembers may be of runs that no longer exist, so its term is over, too."""
    async with ledger_in(tmp_path).open() as ledger, leading(ledger) as leader:
        await write(leader, "kept")
        await write(leader, "lost")
        ledger_databases.sql(ledger_url(tmp_path), LOSE_THE_NEWEST)
        assert leader.is_trusted
        with pytest.raises(MissingHistory, match=r"missing recent history .*run `runbookctl resume`"):
            await write(leader)
        assert not leader.is_trusted, "another may be elected at once"
        assert await pauses(ledger) == [OUTDATED_LEDGER]
        with pytest.raises(Fenced):
            await write(leader)
        async with leading(ledger) as again:
            await write(again)
        assert await pauses(ledger) == [OUTDATED_LEDGER]


async def _renewed(_: Term) -> bool:
    return True


async def test_idle_leader_whose_newest_row_is_gone_leads_no_longer(
    tmp_path: Path, ledger_databases: LedgerDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 54: the look after a renewal finds it; the next renewal may fail to, with the ledger out."""
    monkeypatch.setattr(Term, "renew", _renewed)
    async with ledger_in(tmp_path).open() as ledger, leading(ledger) as leader:
        await write(leader)
        ledger_databases.sql(ledger_url(tmp_path), LOSE_THE_NEWEST)
        await asyncio.wait_for(leader.wait_for_loss(), TTL.total_seconds())
        assert not leader.is_trusted
        assert await pauses(ledger) == [OUTDATED_LEDGER]


async def test_leader_pauses_too_if_another_row_has_the_number_of_its_newest(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    """Invariant 54: another server has gone on from an older row."""
    async with ledger_in(tmp_path).open() as ledger, leading(ledger) as leader:
        await write(leader)
        ledger_databases.sql(ledger_url(tmp_path), "UPDATE audit SET hash = repeat('0', 64)")
        with pytest.raises(MissingHistory):
            await write(leader)
        assert await pauses(ledger) == [OUTDATED_LEDGER]


async def test_follower_that_knows_a_newer_row_pauses_although_the_leader_knows_none(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    """Invariant 54: the act of an operator was lost that only this replica has answered."""
    async with ledger_in(tmp_path).open() as ledger, leading(ledger) as leader, ledger_in(tmp_path).open() as follower:
        await write(leader)
        await write(follower, "by an operator")
        ledger_databases.sql(ledger_url(tmp_path), LOSE_THE_NEWEST)
        async with follower.lead() as other:
            assert (other, leader.is_trusted) == (None, True), "the leader does not know yet that its term was ended"
        assert await pauses(ledger) == [OUTDATED_LEDGER]
        with pytest.raises(Fenced):
            await write(leader)
        assert not leader.is_trusted
        async with leading(follower) as other:
            await write(other)


async def test_follower_remembers_what_it_has_only_read(tmp_path: Path, ledger_databases: LedgerDatabases) -> None:
    """Invariant 54: the leader died with the server."""
    async with ledger_in(tmp_path).open() as ledger, leading(ledger) as leader, ledger_in(tmp_path).open() as follower:
        await write(leader)
        async with follower.lead() as other:
            assert other is None
        ledger_databases.sql(ledger_url(tmp_path), LOSE_THE_NEWEST)
        async with follower.lead():
            assert await pauses(ledger) == [OUTDATED_LEDGER]


async def _restart(ledger: Ledger) -> None:
    async with leading(ledger):
        pass


@pytest.mark.parametrize(
    ("happens", "reasons"),
    [(MOVE, [MOVED_LEDGER]), ("UPDATE leader SET origin = NULL", []), ("SELECT 1", [])],
    ids=["moved", "first election", "same place"],
)
async def test_ledger_that_was_moved_while_nobody_led_is_paused(
    tmp_path: Path, happens: str, reasons: list[str], ledger_databases: LedgerDatabases
) -> None:
    """Invariant 54: a restore, or a failover in which the leader died as well."""
    async with ledger_in(tmp_path).open() as ledger:
        await _restart(ledger)
        ledger_databases.sql(ledger_url(tmp_path), happens)
        await _restart(ledger)
        assert await pauses(ledger) == reasons
        await _restart(ledger)
        assert await pauses(ledger) == reasons, "the pause is recorded once"


async def test_leader_that_lives_through_a_failover_vouches_for_the_ledger(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    async with ledger_in(tmp_path).open() as ledger:
        async with leading(ledger) as leader:
            await write(leader)
            ledger_databases.sql(ledger_url(tmp_path), MOVE)
            await ledger._look(leader.term.fence)
        await _restart(ledger)
        assert await pauses(ledger) == []


async def test_resume_lifts_the_pause(tmp_path: Path, ledger_databases: LedgerDatabases) -> None:
    async with ledger_in(tmp_path).open() as ledger:
        await _restart(ledger)
        ledger_databases.sql(ledger_url(tmp_path), MOVE)
        await _restart(ledger)
        async with ledger.write() as connection:
            await switches.resume(connection, START, "oncall", None)
        await _restart(ledger)
        assert await pauses(ledger) == []
