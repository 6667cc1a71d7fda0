"""The incident report holds what the ledger knows, in order, and shows hostile text as text."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from remediator.escalation.acknowledge import acknowledge
from remediator.ledger import deploys, episodes, switches
from remediator.ledger.audit import RunEvent
from remediator.ledger.schema import outbox
from remediator.model.errors import NoSuchEpisode
from remediator.model.run_state import RunState
from remediator.reports.incident import Incident, read_incident
from remediator.reports.incident_markdown import MAX_EVENTS, incident_markdown
from remediator.runs.approval import approve
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.payloads import alert, delivery

HOSTILE = "**<img src=x onerror=alert(1)>** | [click](javascript:1)\u202e\n# Forged @here postgresql://a:hunter2@db/x"


@pytest.fixture
async def harness(folder: Path) -> AsyncIterator[EngineHarness]:
    async with engine_harness(folder, inventory(mode="approve", max_items=5)) as harness:
        yield harness


async def read(harness: EngineHarness, identifier: int = 1) -> Incident:
    async with harness.context.ledger.read() as connection:
        return await read_incident(connection, harness.context, identifier)


async def report(harness: EngineHarness, identifier: int = 1) -> str:
    return incident_markdown(await read(harness, identifier))


async def deliver_hostile(harness: EngineHarness) -> None:
    one = alert()
    one["annotations"]["summary"] = HOSTILE
    await harness.context.ledger.accept(harness.clock.now(), delivery([one]))


async def fix_it(harness: EngineHarness) -> None:
    """Play a deploy, an alert with two files, a pause, an approval, and the end of the alert."""
    context, ledger = harness.context, harness.context.ledger
    async with ledger.write() as connection:
        await deploys.end(connection, harness.clock.now() - timedelta(minutes=20), "release", "shop", "v1.4")
    harness.files.fill("a", "b")
    await harness.deliver(priority="P1")
    await harness.work()
    async with ledger.write() as connection:
        await connection.execute(update(outbox).values(sent_at=harness.clock.now()))
        await switches.pause_now(connection, harness.clock.now(), "dba", "looking first", "shop", None)
    harness.clock.advance(minutes=2)
    async with ledger.write() as connection:
        await switches.resume(connection, harness.clock.now(), "dba", "shop")
    harness.clock.advance(seconds=10)
    await approve(context, 1, "oncall")
    await harness.work()
    harness.clock.advance(minutes=1)
    await harness.deliver(status="resolved", ends="2026-03-01T12:10:00Z")
    await harness.work()


async def test_report_has_the_story_in_order(harness: EngineHarness) -> None:
    await fix_it(harness)
    text = await report(harness)
    assert text.startswith("# Incident: FolderFull on shop/postgres/main\n")
    assert re.search("audit head `[0-9a-f]{64}`", text), "audit verify --head compares all of it"
    told = text.split("## Timeline (UTC)")[1].split("## Runs")[0]
    words = [line for line in told.splitlines() if line.startswith("| 2026-")]
    positions = [
        next(index for index, line in enumerate(words) if part in line)
        for part in (
            "deploy of v1.4 began",
            "FolderFull began to fire",
            "run 1 of clear_folder began",
            "run 1: awaiting approval",
            "paused remediation of shop: looking first",
            "resumed remediation of shop",
            "run 1: succeeded",
            "the episode ended: resolved",
        )
    ]
    assert positions == sorted(positions)
    assert "- Run 1, clear_folder: **succeeded**" in text
    assert "  - 2 found, 2 listed: 2 applied" in text
    assert "- [ ] A deploy began within the day before: check whether it is the cause." in text
    assert "| Runbook | https://runbooks.example/shop#folder |" in text


async def test_acts_of_people_stand_apart_with_their_names(harness: EngineHarness) -> None:
    await fix_it(harness)
    people = (await report(harness)).split("## Acts of operators")[1].split("## Root cause")[0]
    assert re.search(r"\| dba \| paused remediation of shop: looking first \|", people)
    assert re.search(r"\| oncall \| run 1: approved", people)
    assert re.search(r"\| release \| deploy of v1\.4 was done \|", people)
    assert "| remediator |" not in people
    assert "_To fill in:_" in people


async def test_who_had_it_and_after_how_long_is_told(harness: EngineHarness) -> None:
    harness.files.fill("a")
    await harness.deliver()
    await harness.work()
    assert "| Acknowledged | by nobody |" in await report(harness)
    harness.clock.advance(minutes=4)
    await acknowledge(harness.context, 1, "dba", "looking at the disk", None)
    text = await report(harness)
    assert "| Acknowledged | 2026-03-01 12:04:00 UTC by dba, after 5m |" in text
    assert text.count("| dba | acknowledged it: looking at the disk |") == 2


async def test_unfinished_incident_says_so_and_asks_for_its_end(harness: EngineHarness) -> None:
    harness.files.fill(*"abcdefg")
    await harness.deliver()
    await harness.deliver(target="spare", alertname="OtherFull", fingerprint="f2")
    await harness.work()
    text = await report(harness)
    assert "| Status | not over yet |" in text
    assert "**refused (max items)**" in text
    assert "  - refused by max_items: " in text
    assert "Decide whether it was right that max_items refused a run." in text
    assert "No run helped" in text
    assert "- OtherFull on shop/postgres/spare, since " in text
    assert "The alert still fires: end the incident first." in text


async def test_runs_that_end_alike_are_told_once(folder: Path) -> None:
    async with engine_harness(folder, inventory(max_items=1, cooldown="0s", max_runs_per_hour=100)) as harness:
        harness.files.fill("a", "b")
        for _ in range(5):
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=5)
        text = await report(harness)
    assert "- Run 1, clear_folder: **refused (max items)**, and 4 more until run 5" in text
    assert "  - 2 found, 2 listed: none touched" in text
    assert text.count("refused by max_items") == 1
    assert "| runs 2 to 5 ended alike: refused (max_items) |" in text
    assert "run 3" not in text


async def test_hostile_text_stays_text(harness: EngineHarness) -> None:
    await deliver_hostile(harness)
    await harness.work()
    text = await report(harness)
    assert "hunter2" not in text
    assert "\u202e" not in text
    assert "\n# Forged" not in text
    assert "\\*\\*\\<img src=x onerror=alert(1)\\>\\*\\* \\| \\[click\\](javascript:1)" in text
    assert "\\@here" in text


async def test_episode_that_does_not_exist_is_named(harness: EngineHarness) -> None:
    with pytest.raises(NoSuchEpisode, match="there is no episode 99"):
        await read(harness, 99)


async def test_episode_without_a_run_or_a_message_is_reported(harness: EngineHarness) -> None:
    async with harness.context.ledger.write() as connection:
        key = episodes.EpisodeKey("shop", "clear_folder", "shop/postgres/main")
        await episodes.open_without_alerts(connection, key, harness.clock.now())
    text = await report(harness)
    assert "No alert fired: an operator started it." in text
    assert "\nNothing.\n" in text
    assert "| First message | none |" in text
    assert "The ledger has no act of an operator." in text


async def test_long_timeline_keeps_its_beginning_and_its_end(harness: EngineHarness) -> None:
    await fix_it(harness)
    incident = await read(harness)
    middle = [
        RunEvent(RunState.EXECUTING, harness.clock.now() - timedelta(seconds=1), "remediator", f"event {number}")
        for number in range(1_000)
    ]
    text = incident_markdown(replace(incident, histories={1: middle}))
    assert text.count("\n| 2026-") < MAX_EVENTS + 20
    assert "events in the middle are left out" in text
    assert "FolderFull began to fire" in text
    assert "the episode ended: resolved" in text
