"""What people are told: nothing personal, nothing forged, nothing that is dangerous to copy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from inventory import Inventory
from remediator.ledger import ledger_at
from remediator.ledger.schema import outbox
from remediator.world import World
from tests.unit.remediator.conftest import Bench, TurnedClock
from tests.unit.remediator.shelf import Shelf

QUEUES = Inventory.model_validate(
    {
        "contacts": {"oncall": {"url": "json://127.0.0.1:9"}},
        "stacks": {
            "shop": {
                "redis": {"cache": {"url": "redis://cache"}},
                "queues": {"main": {"redis": "cache", "names": "discover"}},
                "remediations": {"clear_shelf": {"mode": "auto", "max_items": 1}},
            }
        },
    }
)


@asynccontextmanager
async def bench_of_queues(folder: Path) -> AsyncIterator[Bench]:
    shelf, clock = Shelf(folder), TurnedClock()
    async with ledger_at(f"sqlite:///{folder.parent}/ledger.db").opened() as ledger:
        yield Bench(World(QUEUES, ledger, clock, {"clear_shelf": shelf.remediation("queues")}, None), shelf, clock)


async def last_message(bench: Bench) -> tuple[str, str]:
    async with bench.world.ledger.read() as connection:
        row = (await connection.execute(outbox.select().order_by(outbox.c.id.desc()))).first()
    assert row is not None
    return row.title, row.body


async def test_a_job_that_is_named_after_a_person_is_masked_where_it_is_shown(folder: Path) -> None:
    async with bench_of_queues(folder) as bench:
        bench.shelf.fill("welcome:jane@example.com", "plain")
        await bench.deliver(queue="emails")
        await bench.work()
        _, body = await last_message(bench)
        assert '{"name": "welcome:<email>"}' in body
        assert '{"name": "plain"}' in body
        assert "jane" not in body
        [run] = await bench.runs()
        assert {each.item.identity["name"] for each in await bench.items(run)} == {"welcome:jane@example.com", "plain"}
