"""Stopping takes one press and a reason, on every page; releasing takes the typed name as well."""

from datetime import timedelta

import pytest

from remediator.ledger import audit
from tests.unit.remediator.console.pages.world import Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_one_press_and_a_reason_stop_everything(console: Visit) -> None:
    answer = await console.post("/pause", reason="looks wrong", scope="everything", for_="1h")
    assert (answer.status, answer.headers["Location"]) == (303, "/pause")
    [pause] = await console.pauses()
    assert (pause.stack, pause.reason, pause.begun_by) == (None, "looks wrong", "oncall")
    assert pause.until == console.clock.now() + timedelta(hours=1)


@pytest.mark.parametrize("path", ["/", "/stacks/search", "/runs", "/runs/1", "/pause", "/nope"])
async def test_stop_changes_the_bar_of_every_page_with_who_why_and_until(console: Visit, path: str) -> None:
    await console.post("/pause", reason="looks wrong", scope="everything")
    words = await console.words(path, status=404 if path == "/nope" else 200)
    assert "STOPPED: everything" in words
    assert "everything : looks wrong by oncall since 12:" in words
    assert "until it is released" in words
    assert "(stopped)" in await console.page(path, status=404 if path == "/nope" else 200)


async def test_stop_of_one_stack_leaves_the_others(console: Visit) -> None:
    await console.post("/pause", reason="migration", scope="shop")
    assert [each.stack for each in await console.pauses()] == ["shop"]
    words = await console.words("/")
    assert "STOPPED: shop" in words
    assert "Stop…" in words


async def test_stop_says_what_it_covers_before_it_is_pressed(console: Visit) -> None:
    words = await console.words("/pause")
    assert "This stops everything all 4 stacks: no run is under way, 1 waits" in words
    assert "billing no run is under way, 1 waits" in words
    assert "To release it, you give a reason and type everything , or the name of the stack." in words


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"reason": " "}, "reason: must not be empty"),
        ({"reason": "x" * 501}, "reason: must have at most 500 characters"),
        ({"reason": "x", "scope": "nobody"}, "the inventory has no stack 'nobody'"),
        ({"reason": "x", "for_": "soon"}, "for: "),
        ({"reason": "x", "for_": "0s"}, "for: must be at least 1s"),
    ],
)
async def test_stop_that_cannot_be_is_answered_and_keeps_the_entry(
    console: Visit, form: dict[str, str], text: str
) -> None:
    answer = await console.post("/pause", **form)
    page = await answer.text()
    assert (answer.status, text in page.replace("&#39;", "'")) == (400, True), page
    assert await console.pauses() == []


async def test_release_needs_the_typed_name_and_a_reason(console: Visit) -> None:
    await console.post("/pause", reason="looks wrong", scope="everything")
    for form in ({"reason": "fine"}, {"reason": "fine", "typed": "shop"}, {"reason": " ", "typed": "everything"}):
        answer = await console.post("/resume", scope="everything", **form)
        assert (answer.status, "nothing was released" in await answer.text()) == (400, True), form
        assert len(await console.pauses()) == 1
    answer = await console.post("/resume", scope="everything", reason="it was the disk", typed="everything")
    assert (answer.status, await console.pauses()) == (303, [])


async def test_typed_name_counts_in_any_case_and_is_kept_if_refused(console: Visit) -> None:
    await console.post("/pause", reason="looks wrong", scope="everything")
    answer = await console.post("/resume", scope="everything", reason="fine", typed="everythin")
    assert 'value="everythin"' in await answer.text()
    answer = await console.post("/resume", scope="everything", reason="fine", typed=" Everything")
    assert (answer.status, await console.pauses()) == (303, [])


async def test_page_after_a_release_says_so_and_what_still_stops(console: Visit) -> None:
    for scope in ("everything", "shop"):
        await console.post("/pause", reason="looks wrong", scope=scope)
    assert "shop is released" not in await console.words("/pause?released=shop")
    answer = await console.post("/resume", scope="shop", reason="fine", typed="shop")
    assert answer.headers["Location"] == "/pause?released=shop"
    assert "shop is released, but a stop of everything still stops it." in await console.words("/pause?released=shop")
    await console.post("/resume", scope="everything", reason="fine", typed="everything")
    assert "everything is released." in await console.words("/pause?released=everything")
    assert "nobody is released" not in await console.words("/pause?released=nobody")


@pytest.mark.parametrize("scope", ["everything", "shop"])
async def test_bar_leads_to_the_release_once(console: Visit, scope: str) -> None:
    await console.post("/pause", reason="looks wrong", scope=scope)
    assert (await console.words("/")).count("Release…") == 1


async def test_release_is_recorded_with_name_and_reason(console: Visit) -> None:
    await console.post("/pause", reason="looks wrong", scope="shop")
    await console.post("/resume", scope="shop", reason="it was the disk", typed="shop")
    async with console.context.ledger.read() as connection:
        rows = (await connection.execute(audit.audit.select().order_by(audit.audit.c.id.desc()).limit(1))).all()
    assert (rows[0].event, rows[0].actor) == ("resumed", "oncall")
    assert rows[0].detail == {"stack": "shop", "pauses": 1, "reason": "it was the disk"}


async def test_second_release_is_told_that_there_is_nothing_left(console: Visit) -> None:
    await console.post("/pause", reason="looks wrong", scope="shop")
    await console.post("/resume", scope="shop", reason="fine", typed="shop")
    answer = await console.post("/resume", scope="shop", reason="fine", typed="shop")
    assert answer.status == 400
    assert "shop is not stopped any longer" in await answer.text()


async def test_viewer_sees_the_switch_and_cannot_press_it(reader: Visit) -> None:
    page = await reader.page("/pause")
    assert '<button class="danger" disabled>Stop now <small>(needs operator)</small></button>' in page
    answer = await reader.post("/pause", reason="looks wrong", scope="everything")
    assert answer.status == 403
    assert await reader.pauses() == []


async def test_get_acts_on_nothing(console: Visit) -> None:
    for path in ("/pause?reason=x&scope=everything", "/resume?scope=everything&typed=everything&reason=x"):
        assert (await console.get(path)).status in (200, 404)
    assert await console.pauses() == []


async def test_form_without_the_field_of_the_session_stops_nothing(console: Visit) -> None:
    answer = await console.session.post("/pause", data={"reason": "x", "scope": "everything"}, allow_redirects=False)
    assert (answer.status, await console.pauses()) == (403, [])


async def test_pause_file_shows_on_every_page_and_no_page_ends_it(console: Visit) -> None:
    console.pause_file.write_text("second line decides")
    words = await console.words("/pause")
    assert "STOPPED: everything" in words
    assert "second line decides" in words
    assert f"rm {console.pause_file}" in words
    assert "Release everything" not in words
    answer = await console.post("/resume", scope="everything", reason="fine", typed="everything")
    assert "or only by the pause file" in await answer.text()
