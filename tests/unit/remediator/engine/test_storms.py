"""A storm is one cause: it reads few targets, and each contact gets one message about it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from remediator.engine.engine import MAX_DRIVEN
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, engine_harness
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import alert, delivery

MANY = 100


def queue_inventory(mode: str) -> Inventory:
    shop = {
        "runbook_url": "https://runbooks.example/shop",
        "redis": {"main": {"url": "redis://cache"}},
        "queues": {"main": {"redis": "main", "names": "discover"}},
        "remediations": {"clear_shelf": {"mode": mode, "settle": "0s", "verify_within": "1s"}},
    }
    return Inventory.model_validate({"contacts": {"oncall": {"url": "json://127.0.0.1:9"}}, "stacks": {"shop": shop}})


@asynccontextmanager
async def flooded(folder: Path, mode: str, count: int = MANY, **shelf_changes: Any) -> AsyncIterator[EngineHarness]:
    """Yield a harness that has processed alerts about as many queues of one server."""
    shelf = FolderRemediation(folder, **shelf_changes)
    shelf.fill("a")
    async with engine_harness(folder, queue_inventory(mode), shelf) as bench:
        bench.context.remediations = {"clear_shelf": shelf.remediation("queues")}
        bench.engine = type(bench.engine)(bench.context)
        alerts = [alert(fingerprint=f"f{number}", queue=f"q{number}") for number in range(count)]
        await bench.context.ledger.accept(bench.clock.now(), delivery(alerts))
        await bench.work(count // MAX_DRIVEN + 2)
        yield bench


@pytest.mark.parametrize("reachable", [True, False])
@pytest.mark.parametrize(("mode", "state", "messages"), [("auto", "refused", 1), ("shadow", "shadow", 0)])
async def test_storm_reads_few_targets_and_makes_one_message(
    folder: Path, reachable: bool, mode: str, state: str, messages: int
) -> None:
    async with flooded(folder, mode, reachable=reachable) as bench:
        runs = await bench.runs()
        assert {(run.state, run.reason) for run in runs} == {(state, "storm")}
        assert len(runs) == MANY
        assert bench.shelf.open_count <= MAX_DRIVEN
        assert len(await bench.notifications()) == messages


async def test_message_of_a_storm_names_the_first_targets(folder: Path) -> None:
    async with flooded(folder, "auto", count=8) as bench:
        (message,) = await bench.notifications()
    facts = " ".join(json.loads(message.body)["facts"])
    assert "8 alerts on 8 targets" in facts
    assert "shop/queues/main/q0, shop/queues/main/q1" in facts
    assert facts.count("q6") == 0


async def test_next_storm_is_reported_again(folder: Path) -> None:
    async with flooded(folder, "auto", count=8) as bench:
        for hours in (0, 5):
            bench.clock.advance(hours=hours, minutes=1)
            new = [alert(fingerprint=f"n{hours}{number}", queue=f"n{hours}{number}") for number in range(8)]
            await bench.context.ledger.accept(bench.clock.now(), delivery(new))
            await bench.work()
        assert len(await bench.notifications()) == 2, "one of the first two floods, which are one storm"


async def test_run_in_a_storm_that_was_just_seen_is_still_refused_for_a_pause_first(folder: Path) -> None:
    async with flooded(folder, "auto", count=8) as bench:
        pause = folder.parent / "pause"
        pause.write_text("looking")
        bench.context.pause_file = pause
        await bench.deliver(queue="late", fingerprint="late")
        await bench.work()
        run = await bench.last_run()
        assert (run.state, run.reason) == ("refused", "kill_switch")
        assert set(run.evidence["bounds"]["refused_by"]) == {"kill_switch", "storm"}
