"""The metrics page shows effects that only an operator will undo, until they are undone."""

from pathlib import Path

from remediator.model.remediation import UndoWhen
from tests.unit.remediator.runs.test_undos import HOUR, harness_of, start
from tests.unit.remediator.server.test_metrics import page

NAME = "remediation_effect_left_timestamp_seconds"


async def test_effect_without_an_end_is_left_until_an_operator_undoes_it(folder: Path) -> None:
    async with harness_of(folder) as harness:
        assert NAME not in await page(harness)
        await start(harness)
        [(labels, moment)] = (await page(harness))[NAME].items()
        assert dict(labels)["target"] == "shop/postgres/main"
        assert moment == harness.clock.now().timestamp()
        await start(harness, undoes=1)
        assert NAME not in await page(harness)


async def test_effect_that_the_engine_will_undo_is_not_left(folder: Path) -> None:
    async with harness_of(folder, lambda _: UndoWhen(HOUR)) as harness:
        await start(harness)
        assert NAME not in await page(harness)
