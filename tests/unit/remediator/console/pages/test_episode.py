"""The page of an episode: its alerts, its runs, who has it, and the report of the incident."""

import re

import pytest

from tests.unit.remediator.console.pages.world import HOSTILE, Visit, words_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def episode_of(console: Visit, run: int) -> str:
    """Return the address of the episode, as the page of the run links to it."""
    link = re.search(r'href="(/episodes/\d+)">', await console.page(f"/runs/{run}"))
    assert link
    return link[1]


async def test_episode_shows_its_alerts_and_all_its_runs(console: Visit) -> None:
    path = await episode_of(console, console.runs["succeeded"])
    markup = await console.page(path)
    words = words_of(markup)
    assert "P1 FolderFull since" in words
    assert f"run {console.runs['succeeded']} succeeded" in words
    assert "3 of 3 items applied" in words
    assert f'href="{path}/report"' in markup
    assert f"runbookctl report --episode {path.rpartition('/')[2]}" in words


async def test_run_leads_to_its_episode_before_its_story(console: Visit) -> None:
    words = await console.words(f"/runs/{console.runs['succeeded']}")
    assert words.index("Incident report") < words.index("What happened")
    assert f"of shop , in episode {console.runs['succeeded']} ." in words


async def test_episode_is_taken_and_the_operator_comes_back_to_it(console: Visit) -> None:
    path = await episode_of(console, console.runs["awaiting"])
    markup = await console.page(path)
    seen_at = re.search(r'name="seen_at" value="([^"]+)"', markup)
    assert seen_at
    answer = await console.post(f"{path}/acknowledge", note="mine", seen_at=seen_at[1], back=path)
    assert (answer.status, answer.headers["Location"]) == (303, path)
    assert "oncall has it" in await console.words(path)
    assert "Taken by oncall" in await console.words(path)


async def test_hostile_alert_is_shown_harmless(console: Visit) -> None:
    markup = await console.page(await episode_of(console, console.runs["refused"]))
    assert "⟨U+202E⟩evil&lt;script&gt;alert(1)&lt;/script&gt;" in markup
    assert not set(HOSTILE) & {"\u202e", "\x00"} & set(markup)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/episodes/999", "there is no episode 999"), ("/episodes/x", "there is no such episode; give a number")],
)
async def test_episode_that_does_not_exist_is_a_page(console: Visit, path: str, reason: str) -> None:
    assert reason in await console.words(path, status=404)
