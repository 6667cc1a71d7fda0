"""Reminders during an incident: once per interval to the channel that the stack names."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from remediator.escalation.acknowledge import acknowledge
from remediator.escalation.reminders import queue_reminders
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, engine_harness

EVERY_HALF_HOUR = {"every": "30m", "contacts": ["incidents"], "text": "Post an update on the status page."}


def inventory(**reminders: Any) -> Inventory:
    return Inventory.model_validate(
        {
            "console": {"url": "https://runbookd.example"},
            "contacts": {"oncall": {"url": "json://127.0.0.1:9"}, "incidents": {"url": "json://127.0.0.1:9"}},
            "stacks": {
                "shop": {
                    "postgres": {"main": {"dsn": "postgresql://db/shop"}},
                    "escalation": {"first": {"contacts": ["oncall"]}},
                    "reminders": reminders,
                    "remediations": {"clear_folder": {"mode": "shadow"}},
                }
            },
        }
    )


@pytest.fixture
async def incident(folder: Path) -> AsyncIterator[EngineHarness]:
    """Yield an engine with an alert of priority P0 that began to fire just now."""
    async with engine_harness(folder, inventory(updates=EVERY_HALF_HOUR)) as harness:
        await harness.deliver(priority="P0")
        await harness.work()
        yield harness


async def wait(harness: EngineHarness, minutes: int, **labels: str) -> list[str]:
    """Pass this time with the alert firing, and return the titles of all reminders so far."""
    for _ in range(minutes):
        harness.clock.advance(minutes=1)
        await harness.deliver(**{"priority": "P0", **labels})
        await harness.engine._process_deliveries()
        await queue_reminders(harness.context)
    rows = await harness.notifications()
    return [row.title for row in rows if row.contact == "incidents"]


async def test_channel_is_reminded_once_per_interval_until_the_end(incident: EngineHarness) -> None:
    assert await wait(incident, 29) == []
    assert await wait(incident, 2) == ["[shop] an update is due: P0 for 30m"]
    assert await wait(incident, 30) == ["[shop] an update is due: P0 for 30m", "[shop] an update is due: P0 for 1h"]
    await incident.deliver(status="resolved", priority="P0")
    await incident.work()
    incident.clock.advance(hours=2)
    await queue_reminders(incident.context)
    assert len([row for row in await incident.notifications() if row.contact == "incidents"]) == 2


async def test_incident_that_began_while_the_clock_was_ahead_has_its_reminders(folder: Path) -> None:
    async with engine_harness(folder, inventory(updates=EVERY_HALF_HOUR)) as harness:
        starts = harness.clock.now().isoformat()
        harness.clock.advance(days=1)
        await harness.deliver(priority="P0", starts=starts)
        await harness.work()
        harness.clock.advance(days=-1)
        assert await wait(harness, 31, starts=starts) == ["[shop] an update is due: P0 for 30m"]


async def test_reminder_goes_on_while_acknowledged_and_says_who_has_it(incident: EngineHarness) -> None:
    await acknowledge(incident.context, 1, "mia", "failing over")
    await wait(incident, 31)
    [row] = [row for row in await incident.notifications() if row.contact == "incidents"]
    assert "FolderFull on shop/postgres/main since 2026-03-01 11:59 UTC: mia has it in hand (failing over)" in row.body
    assert "Post an update on the status page." in row.body
    assert '"links": [["stack", "https://runbookd.example/stacks/shop"]]' in row.body


async def test_reminder_is_not_repeated_after_a_restart(incident: EngineHarness) -> None:
    await wait(incident, 31)
    await incident.cut_power()
    assert len(await wait(incident, 5)) == 1


async def test_alert_of_another_priority_reminds_nobody(folder: Path) -> None:
    async with engine_harness(folder, inventory(updates=EVERY_HALF_HOUR)) as harness:
        assert await wait(harness, 40, priority="P1") == []


async def test_each_reminder_of_a_stack_has_its_own_interval(folder: Path) -> None:
    leads = {"every": "15m", "contacts": ["incidents"], "priorities": ["P0", "P1"]}
    async with engine_harness(folder, inventory(updates=EVERY_HALF_HOUR, updates_leads=leads)) as harness:
        assert len(await wait(harness, 32)) == 3


async def test_incident_that_no_delivery_confirms_reminds_nobody(incident: EngineHarness) -> None:
    incident.clock.advance(minutes=45)
    await queue_reminders(incident.context)
    assert await incident.notification_titles() == []


async def test_clock_that_was_set_back_neither_repeats_nor_silences(incident: EngineHarness) -> None:
    await wait(incident, 31)
    incident.clock.advance(days=-1)
    assert len(await wait(incident, 5)) == 1
    incident.clock.advance(days=1)
    assert len(await wait(incident, 31)) == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"every": "30s"}, "between 1m and 1d"),
        ({"every": "2d"}, "between 1m and 1d"),
        ({"contacts": []}, "at least 1 item"),
        ({"contacts": ["nobody"]}, "stacks.shop.reminders.updates.contacts: there is no contact 'nobody'"),
        ({"priorities": ["P9"]}, "P9|Input should be"),
        ({"to": "x"}, "Unexpected keyword"),
    ],
)
def test_unusable_reminder_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        inventory(updates={**EVERY_HALF_HOUR, **change})


def test_interval_is_a_duration() -> None:
    assert inventory(updates=EVERY_HALF_HOUR).stacks["shop"].reminders["updates"].every == timedelta(minutes=30)
