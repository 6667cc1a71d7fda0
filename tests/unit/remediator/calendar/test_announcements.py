"""The announcements of windows: due on time, sent once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from remediator.calendar.announcements import announcements
from runbookd.inventory import Inventory
from tests.inventory_data import data_of
from tests.unit.remediator.conftest import EngineHarness, engine_harness
from tests.unit.remediator.escalation.receiver import send_notifications, serve_receiver

# Sunday, 2026-03-01, 12:00 is the start of the harness' clock.
ANNOUNCED = {
    "week": {"before": "7d", "contacts": ["status"], "text": "Maintenance next Sunday"},
    "begin": {"contacts": ["status"]},
    "done": {"of": "end", "contacts": ["status"]},
    "day": {"before": "24h"},
}


def announced(url: str = "json://127.0.0.1:9") -> Inventory:
    window = {"days": ["sun"], "from": "14:00", "to": "16:00", "announcements": ANNOUNCED}
    stacks = {"shop": {"windows": {"main": window}}}
    return Inventory.model_validate({"contacts": {"status": {"url": url}}, "stacks": stacks})


@pytest.fixture
async def harness(folder: Path) -> AsyncIterator[EngineHarness]:
    async with engine_harness(folder, announced()) as harness:
        yield harness


async def check(harness: EngineHarness) -> None:
    harness.engine.housekeeping.next_calendar_check = 0.0
    await harness.work(1)


def test_announcements_are_due_before_the_window_and_at_its_end() -> None:
    since = datetime(2026, 3, 1, 13, tzinfo=UTC)
    found = sorted((each.due_at, each.name) for each in announcements(announced(), since, since + timedelta(days=7)))
    assert [(f"{at:%d %H:%M}", name) for at, name in found] == [
        ("01 14:00", "begin"),
        ("01 14:00", "week"),
        ("01 16:00", "done"),
        ("07 14:00", "day"),
    ]
    at_the_end = since.replace(hour=16)
    assert [each.name for each in announcements(announced(), at_the_end, at_the_end + timedelta(seconds=1))] == ["done"]
    assert list(announcements(announced(), since, at_the_end.replace(hour=14))) == []


async def test_each_announcement_is_sent_once_whatever_is_restarted(harness: EngineHarness) -> None:
    for _ in range(10):
        await check(harness)
        await harness.cut_power()
        harness.clock.advance(minutes=30)
    titles = await harness.notification_titles()
    assert titles == [
        "shop: the window main opens at Sun 2026-03-01 14:00 UTC",
        "shop: the window main opens at Sun 2026-03-08 14:00 UTC",
        "shop: the window main closes at Sun 2026-03-01 16:00 UTC",
    ]


async def test_announcement_without_contacts_is_not_sent(harness: EngineHarness) -> None:
    harness.clock.at = datetime(2026, 3, 7, 14, 1, tzinfo=UTC)
    await check(harness)
    assert await harness.notifications() == []


async def test_announcement_that_is_an_hour_late_is_not_sent(harness: EngineHarness) -> None:
    harness.clock.at = datetime(2026, 3, 1, 15, 1, tzinfo=UTC)
    await check(harness)
    assert await harness.notifications() == []


async def test_contact_gets_the_text_and_the_times(folder: Path) -> None:
    async with serve_receiver() as receiver:
        address = f"{receiver.url.replace('http://', 'json://')}/contacts/status"
        async with engine_harness(folder, announced(address)) as harness:
            harness.clock.at = datetime(2026, 3, 1, 14, 0, 1, tzinfo=UTC)
            await check(harness)
            await send_notifications(harness)
    text = next(message for _, title, message in receiver.messages if "2026-03-08" in title)
    assert "Maintenance next Sunday" in text
    assert "open from 2026-03-08 14:00 UTC to 2026-03-08 16:00 UTC" in text


def test_announcement_to_an_unknown_contact_is_refused() -> None:
    raw = data_of(announced())
    raw["contacts"] = {}
    with pytest.raises(ValidationError, match=r"announcements\.week\.contacts: there is no contact 'status'"):
        Inventory.model_validate(raw)
