"""Problems that come back stand on the page of their stack and of their run, with the text of the permanent fix."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import insert, select

from remediator.ledger.schema import episode, item, run
from tests.unit.remediator.console.pages.world import HOSTILE, Seed, Visit, visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def own(seeded: Seed, tmp_path: Path) -> AsyncIterator[Visit]:
    """Yield a console in whose ledger the refused problem, of items with hostile names, has come three times more."""
    async with visit(seeded, tmp_path) as visitor:
        async with visitor.context.ledger.write() as connection:
            of = visitor.runs["refused"]
            former = (await connection.execute(select(run).where(run.c.id == of))).one()._asdict()
            cause = (await connection.execute(select(episode).where(episode.c.id == former["episode"]))).one()._asdict()
            for _ in range(3):
                ended = {**cause, "id": None, "ended_at": visitor.clock.now(), "end_reason": "resolved"}
                number = (await connection.execute(insert(episode).values(ended))).inserted_primary_key[0]
                again = await connection.execute(insert(run).values({**former, "id": None, "episode": number}))
                found = {"identity": {"name": HOSTILE}, "evidence": {"size": 3}, "state": "planned", "detail": ""}
                await connection.execute(insert(item).values(run=again.inserted_primary_key[0], position=0, **found))
        yield visitor


async def test_stack_lists_problems_that_come_back_with_their_fix(own: Visit, console: Visit) -> None:
    assert "Problems that come back" not in await console.words("/stacks/shop")
    words = await own.words("/stacks/shop")
    assert "clear_folder on shop/postgres/spare : 4 times in seven days" in words
    assert "Permanent fix Rotate the files of shop/postgres/spare." in words
    markup = await own.page("/stacks/shop")
    assert "<script>alert" not in markup
    assert "\u202e" not in markup
    assert "Problems that come back" not in await own.words("/stacks/billing")


async def test_run_says_that_it_is_one_of_many(own: Visit) -> None:
    newest = max(each for [each] in await _runs(own))
    words = await own.words(f"/runs/{newest}")
    assert "The 4th time in seven days. Permanent fix: Rotate the files of shop/postgres/spare." in words
    assert "time in seven days" not in await own.words(f"/runs/{own.runs['refused']}")


async def _runs(visitor: Visit) -> list[tuple[int]]:
    async with visitor.context.ledger.read() as connection:
        return [tuple(row) for row in await connection.execute(select(run.c.id))]
