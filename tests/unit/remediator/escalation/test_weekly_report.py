"""The weekly report: once per week to each contact that the inventory names, whatever is restarted."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from remediator.escalation import weekly_report
from remediator.escalation.weekly_report import due_reports, queue_weekly_reports
from remediator.model.errors import LedgerUnavailable
from runbookd.inventory import Inventory
from tests.unit.remediator.reports.week import Week, inventory, playing

CONTACTS = {"leads": {"url": "json://127.0.0.1:9"}, "owner": {"url": "json://127.0.0.1:9"}}
MONDAY = {"contacts": ["leads"], "day": "mon", "at": "08:00"}
DUE = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # the first Monday after the start of the clock, a Sunday


def with_reports(**reports: Any) -> Inventory:
    return inventory(contacts=CONTACTS, reports=reports)


@asynccontextmanager
async def reporting(folder: Path, **reports: Any) -> AsyncIterator[Week]:
    async with playing(folder, contacts=CONTACTS, reports=reports) as week:
        yield week


async def titles(week: Week) -> list[str]:
    await queue_weekly_reports(week.context)
    return [
        f"{row.contact}: {row.title}" for row in await week.harness.notifications() if row.key.startswith("report/")
    ]


async def test_report_is_queued_once_per_week(folder: Path) -> None:
    async with reporting(folder, weekly=MONDAY) as week:
        await week.fire(2)
        week.clock.at = DUE - timedelta(seconds=1)
        assert await titles(week) == []
        week.clock.at = DUE
        first = "leads: the week until Mon 2026-03-02: 1 run, no alerts went away without one, none refused"
        assert await titles(week) == [first]
        await week.harness.cut_power()
        week.clock.advance(days=2)
        assert await titles(week) == [first]
        week.clock.at = DUE + timedelta(days=7)
        assert await titles(week) == [first, first.replace("1 run", "no runs").replace("03-02", "03-09")]


async def test_report_that_is_queued_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with reporting(folder, weekly=MONDAY) as week:
        week.clock.at = DUE
        await titles(week)
        monkeypatch.setattr(weekly_report, "read_report", None)
        with capture_logs() as lines:
            assert len(await titles(week)) == 1
        assert lines == []


async def test_report_covers_the_week_before_its_moment_even_if_it_is_late(folder: Path) -> None:
    async with reporting(folder, weekly=MONDAY) as week:
        week.clock.at = DUE + timedelta(days=2, hours=23)
        await titles(week)
        [row] = await week.harness.notifications()
        assert "from 2026-02-23 08:00 UTC to 2026-03-02 08:00 UTC" in row.body


async def test_report_that_was_due_long_ago_is_left_out(folder: Path) -> None:
    async with reporting(folder, weekly=MONDAY) as week:
        week.clock.at = DUE + timedelta(days=3, seconds=1)
        assert await titles(week) == []


async def test_clock_that_was_set_back_repeats_nothing(folder: Path) -> None:
    async with reporting(folder, weekly=MONDAY) as week:
        week.clock.at = DUE
        await titles(week)
        week.clock.at = DUE - timedelta(days=1)
        await titles(week)
        week.clock.at = DUE + timedelta(minutes=1)
        assert len(await titles(week)) == 1


async def test_contact_that_is_added_gets_the_report_of_this_week_and_the_others_no_second_one(folder: Path) -> None:
    async with reporting(folder, weekly=MONDAY) as week:
        week.clock.at = DUE
        await titles(week)
        week.context.inventory = with_reports(weekly={**MONDAY, "contacts": ["leads", "owner"]})
        assert [each.partition(":")[0] for each in await titles(week)] == ["leads", "owner"]


async def test_other_hour_of_the_same_week_is_no_second_report(folder: Path) -> None:
    async with reporting(folder, weekly=MONDAY) as week:
        week.clock.at = DUE
        await titles(week)
        week.context.inventory = with_reports(weekly={**MONDAY, "at": "10:00"})
        week.clock.advance(hours=3)
        assert len(await titles(week)) == 1


async def test_report_of_one_stack_says_what_is_ready_and_what_to_run(folder: Path) -> None:
    async with reporting(folder, search={**MONDAY, "stack": "search"}) as week:
        for _ in range(6):
            await week.pass_by(2, stack="search")
            week.clock.advance(hours=1)
        week.clock.at = DUE
        [title] = await titles(week)
        assert title.startswith("leads: [search] the week until")
        [row] = [each for each in await week.harness.notifications() if each.key.startswith("report/")]
        stored = json.loads(row.body)
        ready = "Ready for approve: clear_folder of search, 6 of 6 plans are clean, mode shadow now."
        assert ready in stored["facts"]
        assert "Problems that come back:" in stored["facts"]
        assert stored["more"] == "runbookctl report --since 7d --stack search"


async def test_failing_report_neither_ends_the_task_nor_holds_up_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reporting(folder, broken={**MONDAY, "stack": "shop"}, weekly=MONDAY) as week:
        read = weekly_report.read_report

        async def fail(*arguments: Any) -> Any:
            if arguments[3] == "shop":
                raise LedgerUnavailable("the ledger: disk I/O error")
            return await read(*arguments)

        monkeypatch.setattr(weekly_report, "read_report", fail)
        week.clock.at = DUE
        assert len(await titles(week)) == 1
        monkeypatch.setattr(weekly_report, "read_report", read)
        assert len(await titles(week)) == 2


async def test_engine_queues_it_beside_its_rounds(folder: Path) -> None:
    async with reporting(folder, weekly=MONDAY) as week:
        week.clock.at = DUE
        await week.harness.work(1)
        task = week.harness.engine.housekeeping._reports
        assert task is not None
        await task
        assert len(await week.harness.notifications()) == 1


@pytest.mark.parametrize(
    ("zone", "now", "due"),
    [
        ("UTC", "2026-03-02T08:00:00Z", "2026-03-02T08:00:00Z"),
        ("Europe/Berlin", "2026-03-02T08:00:00Z", "2026-03-02T07:00:00Z"),
        ("Europe/Berlin", "2026-03-30T06:30:00Z", "2026-03-30T06:00:00Z"),  # the clocks were set forward the day before
        ("Pacific/Auckland", "2026-03-01T20:00:00Z", "2026-03-01T19:00:00Z"),  # Monday has begun there
        ("America/New_York", "2026-03-02T12:59:59Z", None),
    ],
)
def test_moment_is_in_the_zone_of_the_report(zone: str, now: str, due: str | None) -> None:
    found = list(due_reports(with_reports(weekly={**MONDAY, "zone": zone}), datetime.fromisoformat(now)))
    assert [each.at for each in found] == ([datetime.fromisoformat(due)] if due else [])


@pytest.mark.parametrize("now", ["2026-03-30T12:00:00Z", "2026-10-26T12:00:00Z"])
def test_week_in_which_the_clocks_change_begins_where_the_last_one_ended(now: str) -> None:
    reports, at = with_reports(weekly={**MONDAY, "zone": "Europe/Berlin"}), datetime.fromisoformat(now)
    [last] = due_reports(reports, at - timedelta(days=7))
    [due] = due_reports(reports, at)
    assert due.since == last.at
    assert due.at - due.since in (timedelta(hours=167), timedelta(hours=169))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"contacts": []}, "at least 1 item"),
        (
            {"contacts": ["nobody"]},
            "reports.weekly.contacts: there is no contact 'nobody'; the inventory has leads, owner",
        ),
        ({"stack": "shp"}, "reports.weekly.stack: there is no stack 'shp'; the inventory has billing, search, shop"),
        ({"day": "monday"}, "Input should be 'mon'"),
        ({"at": 480}, "a time of day needs quotes"),
        ({"zone": "Mars"}, "is not an IANA time zone"),
        ({"to": "x"}, "Unexpected keyword"),
    ],
)
def test_unusable_report_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        with_reports(weekly={**MONDAY, **change})
