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
        "remediations": {"clear_folder": {"mode": mode, "settle": "0s", "verify_within": "1s"}},
    }
    return Inventory.model_validate({"contacts": {"oncall": {"url": "json://127.0.0.1:9"}}, "stacks": {"shop": shop}})


@asynccontextmanager
async def flooded(folder: Path, mode: str, count: int = MANY, **shelf_changes: Any) -> AsyncIterator[EngineHarness]:
    """Yield a harness that has processed alerts about as many queues of one server."""
    files = FolderRemediation(folder, **shelf_changes)
    files.fill("a")
    async with engine_harness(folder, queue_inventory(mode), files) as harness:
        harness.context.remediations = {"clear_folder": files.remediation("queues")}
        harness.engine = type(harness.engine)(harness.context)
        alerts = [alert(fingerprint=f"f{number}", queue=f"q{number}") for number in range(count)]
        await harness.context.ledger.accept(harness.clock.now(), delivery(alerts))
        await harness.work(count // MAX_DRIVEN + 2)
        yield harness


@pytest.mark.parametrize("reachable", [True, False])
@pytest.mark.parametrize(("mode", "state", "messages"), [("auto", "refused", 1), ("shadow", "shadow", 0)])
async def test_storm_reads_few_targets_and_makes_one_message(
    folder: Path, reachable: bool, mode: str, state: str, messages: int
) -> None:
    async with flooded(folder, mode, reachable=reachable) as harness:
        runs = await harness.runs()
        assert {(run.state, run.reason) for run in runs} == {(state, "storm")}
        assert len(runs) == MANY
        assert harness.files.open_count <= MAX_DRIVEN
        assert len(await harness.notifications()) == messages


async def test_message_of_a_storm_names_the_first_targets(folder: Path) -> None:
    async with flooded(folder, "auto", count=8) as harness:
        (message,) = await harness.notifications()
    facts = " ".join(json.loads(message.body)["facts"])
    assert "8 alerts on 8 targets" in facts
    assert "shop/queues/main/q0, shop/queues/main/q1" in facts
    assert facts.count("q6") == 0


async def test_next_storm_is_reported_again(folder: Path) -> None:
    async with flooded(folder, "auto", count=8) as harness:
        for hours in (0, 5):
            harness.clock.advance(hours=hours, minutes=1)
            new = [alert(fingerprint=f"n{hours}{number}", queue=f"n{hours}{number}") for number in range(8)]
            await harness.context.ledger.accept(harness.clock.now(), delivery(new))
            await harness.work()
        assert len(await harness.notifications()) == 2, "one of the first two floods, which are one storm"


async def test_run_in_a_storm_that_was_just_seen_is_still_refused_for_a_pause_first(folder: Path) -> None:
    async with flooded(folder, "auto", count=8) as harness:
        pause = folder.parent / "pause"
        pause.write_text("looking")
        harness.context.pause_file = pause
        await harness.deliver(queue="late", fingerprint="late")
        await harness.work()
        run = await harness.last_run()
        assert (run.state, run.reason) == ("refused", "kill_switch")
        assert set(run.evidence["bounds"]["refused_by"]) == {"kill_switch", "storm"}
