"""The report of a period counts each run and each alert once, in every format, and shows hostile names as text.

`python -m tests.unit.remediator.reports.test_period` writes the expected reports again.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from remediator.ledger import period_facts
from remediator.ledger.schema import run
from remediator.model.errors import InvalidParameter, NoSuchTarget
from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from remediator.reports.document_html import as_html
from remediator.reports.document_markdown import as_markdown
from remediator.reports.document_text import as_text
from remediator.reports.needless import Needless
from remediator.reports.period import PeriodReport, Totals
from remediator.reports.period_document import document_of, first_sentence
from remediator.reports.period_json import as_json
from remediator.reports.period_reading import check_period
from runbookd.inventory import Mode
from tests.unit.remediator.reports.week import HOSTILE, Week, playing

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
async def week(folder: Path) -> AsyncIterator[Week]:
    async with playing(folder) as week:
        yield week


def in_every_format(report: PeriodReport) -> Mapping[str, str]:
    document, plain = document_of(report), as_json(report)
    plain["recurring"] = [each["target"] for each in plain["recurring"]]  # their own tests know the rest
    return {
        "week.txt": as_text(document),
        "week.md": as_markdown(document),
        "week.html": as_html(document),
        "week.json": json.dumps(plain, indent=1, ensure_ascii=False) + "\n",
    }


async def test_report_reads_as_expected_in_every_format(week: Week) -> None:
    await week.play()
    for name, text in in_every_format(await week.report()).items():
        assert text == (GOLDEN / name).read_text(encoding="utf-8"), name


async def test_empty_ledger_has_a_report(week: Week) -> None:
    report = await week.report()
    assert report.totals == Totals(0, 0, 0, 0, 0, 0, 0)
    assert first_sentence(report) == (
        "In 7 days runbookd did nothing; no alerts went away without it; none were refused."
    )
    assert "No run waited for anything." in as_text(document_of(report))
    assert "The ledger has no entry yet." in document_of(report).facts
    assert [each.remediation for each in report.readiness] == ["clear_folder"] * 3


async def test_one_alert_that_still_fires_is_counted_as_such(week: Week) -> None:
    await week.fire(stack="search")
    report = await week.report(timedelta(hours=1))
    assert first_sentence(report) == (
        "In 1 hour runbookd did nothing; no alerts went away without it; none were refused; 1 still fires."
    )
    week.clock.advance(seconds=1)
    assert "and only planned for 1 alert in mode shadow" in first_sentence(await week.report())


async def test_alert_that_began_after_the_period_of_a_late_report_is_not_in_it(week: Week) -> None:
    friday = week.clock.now()
    week.clock.advance(days=3)
    await week.fire(stack="search")
    late = await week.report(until=friday)
    assert (late.totals.still_firing, (await week.report()).totals.still_firing) == (0, 1)


async def test_each_run_and_alert_belongs_to_exactly_one_of_two_periods(week: Week) -> None:
    await week.fire()
    await week.fire(stack="search")
    week.clock.advance(hours=1)
    first = await week.report(timedelta(hours=2))
    await week.resolve()
    await week.resolve(stack="search")
    week.clock.advance(hours=1)
    second = await week.report(week.clock.now() - first.period.until)
    assert (first.totals.runs, second.totals.runs) == (1, 0)
    assert (first.totals.went_away, second.totals.went_away) == (0, 1)
    [times] = second.times
    assert times.untouched.median is not None
    assert round(times.untouched.median.total_seconds()) == 61 * 60, "the whole duration counts where the alert ends"
    assert [each.fixed.number for each in first.times] == [1]


async def test_alert_that_ended_before_the_period_is_only_for_comparison(week: Week) -> None:
    await week.pass_by(2, stack="search")
    week.clock.advance(hours=2)
    report = await week.report(timedelta(hours=1))
    assert (report.totals.went_away, report.times) == (0, [])


async def test_report_of_one_stack_has_nothing_of_the_others(week: Week) -> None:
    await week.play()
    report = await week.report(stack="shop")
    rows = [*report.done, *report.refused, *report.waited, *report.times, *report.readiness, *report.recurring]
    assert {each.stack for each in rows} == {"shop"}
    assert report.totals == Totals(3, 3, 0, 1, 1, 0, 0)
    assert not [each for each in report.by_hand.newest if "restore_drill" in each.what]
    assert document_of(report).title == "Report of 7 days, shop"


async def test_needless_run_is_found_by_the_alerts_that_went_alone(week: Week) -> None:
    async def take_its_time() -> None:
        week.clock.advance(minutes=8)

    for minutes in (2, 3, 4, 5, 30):
        await week.pass_by(minutes, stack="search")
        week.clock.advance(hours=1)
    week.set("search", mode=Mode.AUTO)
    week.harness.files.before = take_its_time
    await week.fire(stack="search")
    week.clock.advance(minutes=1)
    [needless] = (await week.report()).needless
    assert (needless.stack, needless.found) == ("search", Needless(1, 0, [6]))


async def test_items_and_ends_of_runs_are_counted(week: Week) -> None:
    week.set("shop", verify_within=timedelta(0))
    week.harness.files.refill = True
    await week.fire(2)
    week.clock.advance(minutes=1)
    [done] = (await week.report()).done
    assert done.ends == {RunState.INEFFECTIVE: 1}
    assert done.items == {ItemState.APPLIED: 2}
    [verdict, *_] = (await week.report()).readiness
    assert verdict.record.objections == {"ineffective": 1}
    assert "1 ineffective" in as_text(await week.document())


async def test_item_that_others_changed_in_between_is_counted_as_theirs(week: Week) -> None:
    async def remove() -> None:
        (week.harness.files.folder / "file-0").unlink(missing_ok=True)

    week.harness.files.before = remove
    await week.fire(2)
    week.clock.advance(minutes=1)
    assert (await week.report()).by_hand.changed_items == {"clear_folder": 1}


async def test_wait_that_has_not_ended_counts_until_now(week: Week) -> None:
    await week.fire(stack="billing")
    week.clock.advance(minutes=7)
    [waited] = (await week.report()).waited
    assert (waited.reason, waited.runs, waited.still) == ("approval", 1, 1)
    assert waited.waits.median is not None
    assert round(waited.waits.median.total_seconds()) == 420


async def test_report_says_that_it_covers_less_than_it_was_asked_for(
    week: Week, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(period_facts, "MAX_RUNS", 3)
    for _ in range(5):
        await week.pass_by(1, stack="search")
        week.clock.advance(hours=1)
    report = await week.report()
    assert report.period.is_cut
    assert report.totals.planned == 3
    assert report.totals.went_away == 3
    assert "it covers the newest part only" in as_text(document_of(report))


async def test_run_of_another_release_without_settings_is_evidence(week: Week) -> None:
    await week.pass_by(1, stack="search")
    week.clock.advance(minutes=1)
    async with week.context.ledger.write() as connection:
        await connection.execute(update(run).values(settings=None))
    verdict = next(each for each in (await week.report()).readiness if each.stack == "search")
    assert (verdict.record.plans, verdict.record.outdated) == (1, 0)


async def test_changed_limit_starts_the_record_again(week: Week) -> None:
    await week.pass_by(1, stack="search")
    week.clock.advance(minutes=1)
    week.set("search", max_items=50)
    verdict = next(each for each in (await week.report()).readiness if each.stack == "search")
    assert (verdict.record.plans, verdict.record.outdated) == (0, 1)
    assert "none (1 with other settings)" in as_text(await week.document())


@pytest.mark.parametrize(
    ("format_", "shown", "hidden"),
    [
        ("week.txt", "<img src=x", "\u202e"),
        ("week.md", r"\<img src=x onerror=alert(1)\>\|\*\*x\*\*\[y\](javascript:1)", " <img"),
        ("week.html", "&lt;img src=x onerror=alert(1)&gt;|**x**[y](javascript:1)", "<img"),
        ("week.json", HOSTILE[:-1], "\u202e"),
    ],
)
async def test_hostile_name_stays_text(week: Week, format_: str, shown: str, hidden: str) -> None:
    await week.fire(stack=HOSTILE)
    week.clock.advance(minutes=1)
    text = in_every_format(await week.report())[format_]
    assert shown in text
    assert hidden not in text


@pytest.mark.parametrize("days", [0, -1, 367])
def test_period_that_cannot_be_is_refused(week: Week, days: int) -> None:
    with pytest.raises(InvalidParameter, match="the period must be between 1s and 366d"):
        check_period(week.context, timedelta(days=days), None)


def test_unknown_stack_is_refused_with_the_nearest(week: Week) -> None:
    with pytest.raises(NoSuchTarget, match="the inventory has no stack 'shp'; did you mean 'shop'"):
        check_period(week.context, timedelta(days=7), "shp")


async def _write() -> None:
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "files"
        folder.mkdir()
        async with playing(folder) as week:
            await week.play()
            for name, text in in_every_format(await week.report()).items():
                (GOLDEN / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
