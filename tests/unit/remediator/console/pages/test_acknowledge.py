"""Acknowledging on the page of a stack: the form, its answer, a second operator, and a page that is too old."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from remediator.escalation.acknowledge import acknowledge
from remediator.ledger.episodes import newest_open
from tests.unit.remediator.console.pages.world import HOSTILE, Seed, Visit, visit, words_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def alone(seeded: Seed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Visit]:
    """Yield an application whose ledger these tests change."""
    async with visit(seeded, tmp_path_factory.mktemp("acknowledge")) as visitor:
        yield visitor


async def form_of(console: Visit, stack: str) -> tuple[int, dict[str, str]]:
    """Return the number of the first episode that can be acknowledged, and the fields of its form."""
    markup = await console.page(f"/stacks/{stack}")
    form = re.search(r'action="/episodes/(\d+)/acknowledge"[^>]*>(.*?)</form>', markup, re.DOTALL)
    assert form is not None
    hidden = dict(re.findall(r'type="hidden" name="(back|seen_at)" value="([^"]+)"', form[2]))
    assert set(hidden) == {"back", "seen_at"}
    return int(form[1]), {**hidden, "note": f"on it {HOSTILE}", "for_": "1h"}


async def last_actor(console: Visit) -> str:
    """Return who acknowledged last, by the ledger."""
    query = "SELECT actor FROM audit WHERE event = 'acknowledged' ORDER BY id DESC LIMIT 1"
    async with console.context.ledger.read() as connection:
        return str((await connection.execute(text(query))).scalar_one())


async def test_alerts_that_nobody_has_are_counted_and_linked_until_somebody_has_them(
    seeded: Seed, tmp_path: Path
) -> None:
    async with visit(seeded, tmp_path) as own:
        markup = await own.page("/")
        assert re.findall(r'href="/stacks/(\w+)#alerts"', markup) == ["billing", "shop", "frozen", "search"]
        words = words_of(markup)
        assert "1 for a yes 1 alert waits for an operator since 12:02" in words
        assert "3 alerts wait for an operator, the first since 12:00" in words
        inbox = await own.page("/approvals")
        assert "7 alerts wait for an operator, the first since 12:00" in words_of(inbox)
        assert '<a class="wait" href="/">' in inbox
        async with own.context.ledger.read() as connection:
            opened = await newest_open(connection, 50)
        for each in opened:
            await acknowledge(own.context, each.id, "oncall")
        assert "for an operator" not in await own.words("/approvals")
        words = await own.words("/")
        assert "for an operator" not in words
        assert "Waits nothing" in words


async def test_taking_an_alert_is_a_button_on_the_pages_of_stack_and_run(console: Visit) -> None:
    for path in ("/stacks/billing", f"/runs/{console.runs['awaiting']}"):
        summary = re.search(r'<details class="take">\s*<summary>(.*?)</summary>', await console.page(path), re.DOTALL)
        assert summary is not None, path
        assert re.match(r'<span class="button primary">.* I have it…</span> <span class="dim">waits', summary[1]), path


async def test_operator_acknowledges_and_the_page_says_who_has_it(alone: Visit) -> None:
    number, fields = await form_of(alone, "billing")
    answer = await alone.post(f"/episodes/{number}/acknowledge", **fields)
    assert (answer.status, answer.headers["Location"]) == (303, "/stacks/billing")
    assert await last_actor(alone) == "oncall"
    markup = await alone.page("/stacks/billing")
    assert "oncall has it" in await alone.words("/stacks/billing")
    assert "<script>alert" not in markup


async def test_viewer_sees_the_button_and_cannot_press_it(alone: Visit) -> None:
    async with alone.another("reader") as reader:
        number, fields = await form_of(reader, "search")
        assert "(needs operator)" in await reader.words("/stacks/search")
        assert (await reader.post(f"/episodes/{number}/acknowledge", **fields)).status == 403


async def test_second_operator_learns_who_was_first_and_keeps_what_was_typed(alone: Visit) -> None:
    number, fields = await form_of(alone, "frozen")
    await acknowledge(alone.context, number, "dba", "looking")
    answer = await alone.post(f"/episodes/{number}/acknowledge", **{**fields, "note": "my own words"})
    page = await answer.text()
    assert (answer.status, f"episode {number} was acknowledged by dba" in page) == (409, True)
    assert "my own words" in page
    assert await last_actor(alone) == "dba"


async def test_page_that_does_not_show_an_alert_acknowledges_nothing(alone: Visit) -> None:
    number, fields = await form_of(alone, "search")
    fields["seen_at"] = str(alone.clock.now() - timedelta(days=1))
    answer = await alone.post(f"/episodes/{number}/acknowledge", **fields)
    assert (answer.status, "another alert has joined" in await answer.text()) == (409, True)


@pytest.mark.parametrize(
    ("change", "status"),
    [({"for_": "99d"}, 400), ({"seen_at": "yesterday"}, 400), ({"seen_at": ""}, 400)],
)
async def test_unusable_form_is_refused(alone: Visit, change: dict[str, str], status: int) -> None:
    number, fields = await form_of(alone, "search")
    assert (await alone.post(f"/episodes/{number}/acknowledge", **{**fields, **change})).status == status
    assert (await alone.post("/episodes/9999/acknowledge", **fields)).status == 404
