"""The page of a run: what was done first, who else was judged meanwhile, and that a thing that is over is over."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from remediator.ledger import episodes, runs
from remediator.model.run_state import RunState
from remediator.runs.approval import approve
from tests.unit.remediator.console.pages.world import Seed, Visit, visit, words_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
OVER = "Over since 12:37:00 UTC 07:37 EST now . The alert resolved,"


@pytest_asyncio.fixture(loop_scope="module")
async def own(seeded: Seed, tmp_path: Path) -> AsyncIterator[Visit]:
    """Yield a console whose incidents a test may end."""
    async with visit(seeded, tmp_path) as visitor:
        yield visitor


async def end(console: Visit, name: str, reason: str = "resolved") -> str:
    """End the episode of a run five minutes later; return the path of the run."""
    console.clock.advance(minutes=5)
    async with console.context.ledger.write() as connection:
        run = await runs.get(connection, console.runs[name])
        await episodes.end(connection, await episodes.get(connection, run.episode), reason, console.clock.now())
    return f"/runs/{run.id}"


def copied(markup: str) -> str:
    """Return the text for the channel of the incident."""
    found = re.search(r'data-copy="(\*\*run[^"]*)"', markup)
    assert found
    return found[1]


async def test_succeeded_run_leads_with_what_was_done_and_counted(console: Visit) -> None:
    markup = await console.page(f"/runs/{console.runs['succeeded']}")
    headline = "3 of 3 items applied; the reading came back clean."
    assert headline in words_of(markup)
    assert "o item was left to touch" not in markup
    assert f"is **succeeded**. {headline}" in copied(markup)


async def test_refused_run_is_copied_with_the_numbers_of_its_bound(console: Visit) -> None:
    text = copied(await console.page(f"/runs/{console.runs['refused']}"))
    assert "is **refused** (max_items)." in text
    assert "max_items refuses: found 9, max_items is 5." in text


async def test_refused_run_of_an_ended_episode_has_no_next_step(own: Visit) -> None:
    path = await end(own, "refused")
    for page in (path, f"{path}/why"):
        words = await own.words(page)
        assert f"{OVER} without a run that touched anything." in words, page
        assert "What next" not in words, page


async def test_copied_line_of_an_ended_episode_says_that_it_is_over(own: Visit) -> None:
    text = copied(await own.page(await end(own, "refused", "vanished")))
    assert "Over since 12:37:00 UTC: The alert is no longer reported as firing, without a run" in text
    assert "follow the runbook" not in text


async def test_end_names_the_run_that_succeeded_before_it(own: Visit) -> None:
    assert f"{OVER} after run {own.runs['succeeded']} succeeded." in await own.words(await end(own, "succeeded"))


async def test_open_breaker_is_still_named_after_the_end(own: Visit) -> None:
    words = await own.words(await end(own, "ineffective"))
    assert f"and run {own.runs['ineffective']} may have helped: ineffective." in words
    assert re.search(
        r"What next The breaker is open \(.*\)\. Check the target, then close it: runbookctl breaker", words
    )


async def test_gap_names_the_other_runs_of_the_episode(own: Visit) -> None:
    first = own.runs["refused"]
    numbers = [await again(own, first) for _ in range(3)]
    words = await own.words(f"/runs/{numbers[-1]}")
    links = f'runs <a href="/runs/{first}">{first}</a> to <a href="/runs/{numbers[1]}">{numbers[1]}</a> of this episode'
    assert "of this episode were judged meanwhile: 3 refused" in words
    assert links in await own.page(f"/runs/{numbers[-1]}")
    assert "nothing happened" not in words.split("Alertmanager delivered it")[1]
    own.clock.advance(minutes=2)
    await end(own, "refused")
    before_the_end = await own.words(f"/runs/{numbers[1]}")
    assert f"run {numbers[-1]} of this episode was judged meanwhile: refused" in before_the_end


async def again(console: Visit, first: int) -> int:
    """Refuse another run of the episode of the run `first`, two minutes later; return it."""
    console.clock.advance(minutes=2)
    async with console.context.ledger.write() as connection:
        episode = await episodes.get(connection, (await runs.get(connection, first)).episode)
        run = await runs.create(connection, episode, console.clock.now())
        console.clock.advance(seconds=1)
        await runs.move(connection, run, RunState.REFUSED, console.clock.now(), reason="max_items")
    return run.id


async def test_approved_run_that_has_not_begun_asks_nobody_to_approve_it(own: Visit) -> None:
    run = own.runs["awaiting"]
    assert "What next Nothing was touched. Review the plan" in await own.words(f"/runs/{run}")
    await approve(own.context, run, "oncall")
    words = await own.words(f"/runs/{run}")
    assert "oncall has approved it; its bounds are evaluated again" in words
    assert "What next" not in words
    assert "Expires" not in words
