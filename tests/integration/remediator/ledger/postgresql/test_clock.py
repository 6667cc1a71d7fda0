"""The time of a ledger in PostgreSQL is the database's, whatever the clock of the machine says."""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from remediator.ledger.address import clock_of
from remediator.ledger.postgresql import clock
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.model.clock import SystemClock
from tests.ledgers import ledger_in, ledger_of, sqlite_url


class HourAhead(datetime):
    """A machine's clock that is one hour ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(hours=1)


async def database_time(ledger: PostgresLedger) -> datetime:
    async with ledger.read() as connection:
        moment: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return moment.astimezone(UTC)


async def test_wrong_clock_of_the_machine_is_reported_and_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "datetime", HourAhead)
    ledger = ledger_in(tmp_path)
    assert isinstance(ledger, PostgresLedger)
    with capture_logs() as logs:
        async with ledger.open():
            difference = clock_of(ledger).now() - await database_time(ledger)
            await ledger.clock.read(ledger._transactions)
    assert abs(difference) < timedelta(seconds=1)
    assert [round(line["seconds"], -1) for line in logs if "differs" in line["event"]] == [3600], "once, not each time"


async def test_answer_that_took_long_does_not_set_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = ledger_in(tmp_path)
    assert isinstance(ledger, PostgresLedger)
    async with ledger.open():
        monkeypatch.setattr(clock, "SLOW_SECONDS", 0.0)
        read_at = ledger.clock._read_at
        await ledger.clock.read(ledger._transactions)
        assert ledger.clock._read_at == read_at
        assert abs(ledger.clock.now() - await database_time(ledger)) < timedelta(seconds=1)


async def test_clock_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "READ_SECONDS", 0.0)
    ledger = ledger_in(tmp_path)
    assert isinstance(ledger, PostgresLedger)
    async with ledger.open():
        read_at = ledger.clock._read_at
        for _ in range(100):
            await database_time(ledger)
            if ledger.clock._read_at > read_at:
                return
    pytest.fail("the clock was not read again")


def test_ledger_in_a_file_has_the_clock_of_its_machine(tmp_path: Path) -> None:
    assert isinstance(clock_of(ledger_of(sqlite_url(tmp_path))), SystemClock)
