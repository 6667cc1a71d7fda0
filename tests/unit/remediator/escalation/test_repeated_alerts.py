"""An outcome that repeats while nothing changes is escalated once per episode."""

from pathlib import Path

from sqlalchemy import select

from remediator.ledger.schema import outbox
from tests.unit.remediator.conftest import engine_harness, inventory


async def test_runs_that_keep_expiring_are_escalated_once(folder: Path) -> None:
    async with engine_harness(folder, inventory(only_in="noon", cooldown="1m")) as harness:
        harness.files.fill("a")
        harness.clock.advance(minutes=31)
        for _ in range(6):  # three hours, a delivery every half an hour
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=30)
        states = [run.state for run in await harness.runs()]
        async with harness.context.ledger.read() as connection:
            titles = list(await connection.scalars(select(outbox.c.title)))
    assert states.count("expired") >= 2
    assert [title for title in titles if "expired" in title] == [
        "[shop] clear_folder on shop/postgres/main: expired (window)"
    ]
