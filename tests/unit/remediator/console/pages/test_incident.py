"""The incident report is a file that each run's page links to."""

import re

import pytest

from tests.unit.remediator.console.pages.world import Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_page_of_a_run_leads_to_the_report_of_its_episode(console: Visit) -> None:
    markup = await console.page(f"/runs/{console.runs['refused']}")
    link = re.search(r'href="(/episodes/\d+/report)"', markup)
    assert link is not None
    answer = await console.get(link[1])
    assert (answer.status, answer.content_type) == (200, "text/markdown")
    assert re.fullmatch(r'attachment; filename="incident-\d+\.md"', answer.headers["Content-Disposition"])
    text = await answer.text()
    assert text.startswith("# Incident: ")
    assert f"- Run {console.runs['refused']}, clear_folder: **refused (max items)**" in text


@pytest.mark.parametrize("episode", ["999999", "x", "1e3", "-1"])
async def test_episode_that_does_not_exist_is_a_page(console: Visit, episode: str) -> None:
    assert "there is no" in await console.words(f"/episodes/{episode}/report", status=404)
