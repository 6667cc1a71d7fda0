"""The page of the report: period and stack in the address, the same words as in a terminal, hostile names as text."""

import re
from dataclasses import replace

import pytest
from aiohttp import ClientSession

from remediator.model.permanent_fix import Fix
from remediator.reports.recurring import RecurringProblem
from tests.unit.remediator.console.pages.world import Visit, words_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_report_says_first_what_was_done_and_links_to_the_runs(console: Visit) -> None:
    markup = await console.page("/report")
    words = words_of(markup)
    assert "In 7 days runbookd acted in 2 runs, 1 of them with proof of success" in words
    assert "max_items: found 9, max_items is 5" in words
    assert f'<a href="/runs/{console.runs["refused"]}">' in markup
    assert '<a href="/runs?stack=shop&amp;remediation=clear_folder">' in markup
    assert "runbookctl report --since 7d" in words


async def test_period_and_stack_are_in_the_address(console: Visit) -> None:
    markup = await console.page("/report?since=30d&stack=billing")
    words = words_of(markup)
    assert "Report of 30 days, billing" in words
    assert "approval 1 30m 30m 1" in words
    assert "max_items" not in words
    assert re.findall(r'<a href="([^"]+)" aria-current="true">', markup) == [
        "/report?since=30d&amp;stack=billing",
        "/report?since=30d&amp;stack=billing",
    ]
    assert 'href="/report?since=1d&amp;stack=billing"' in markup
    assert 'href="/report?since=30d"' in markup
    assert "runbookctl report --since 30d --stack billing" in words


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("since=x", 400, "since: 'x' is not a duration"),
        ("since=400d", 400, "the period must be between 1s and 366d"),
        ("stack=shp", 404, "the inventory has no stack 'shp'; did you mean"),
        ("stack=%3Cscript%3Ealert", 404, "the inventory has no stack '<script>alert'"),
    ],
)
async def test_report_that_cannot_be_is_a_page_with_its_reason(
    console: Visit, query: str, status: int, reason: str
) -> None:
    assert reason in await console.words(f"/report?{query}", status=status)


async def test_hostile_text_is_shown_harmless(console: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "<script>alert(1)</script>\u202e\"'"

    async def one(*_: object, **__: object) -> list[RecurringProblem]:
        moment = console.clock.now()
        fix = Fix(hostile, f"ALTER ROLE x;\n{hostile}", "sql")
        return [RecurringProblem("shop", hostile, hostile, 3, 3, 3, moment, moment, [1], 0, [], fix)]

    monkeypatch.setattr("remediator.reports.period_reading.recurring_problems", one)
    markup = await console.page("/report")
    assert "<script>alert" not in markup
    assert "<img src=x" not in markup
    assert not set("\u202e\x00\u200b") & set(markup)
    assert "ALTER ROLE x;\n&lt;script&gt;" in markup
    assert not re.search(r"<style|<[^>]*\s(?:style|on\w+)=|<script(?![^>]*\ssrc=)", markup)


async def test_report_needs_a_session_and_a_viewer_may_read_it(console: Visit, reader: Visit) -> None:
    assert "Report of 7 days" in await reader.words("/report")
    async with ClientSession(console.session._base_url) as stranger:
        assert (await replace(console, session=stranger).get("/report")).status == 303
