"""The metrics page shows how often a problem came, and from when on that is too often."""

from pathlib import Path

import pytest

from remediator.reports import recurring
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.reports.test_recurring import happen
from tests.unit.remediator.server.test_metrics import labels, page


@pytest.fixture(autouse=True)
def every_reading_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurring, "QUICK_SECONDS", 60)


async def test_times_of_a_problem_stand_beside_their_limit(harness: EngineHarness) -> None:
    assert "remediation_recurrences" not in await page(harness)
    await happen(harness, "a")
    await happen(harness, "a")
    series = await page(harness)
    assert series["remediation_recurrences"] == {labels(target="shop/postgres/main"): 2}
    assert series["remediation_recurrence_limit"] == {labels(target="shop/postgres/main"): 3}


async def test_inventory_sets_the_limit(folder: Path) -> None:
    async with engine_harness(folder, inventory(recurring_after=9)) as harness:
        await happen(harness, "a")
        series = await page(harness)
        assert series["remediation_recurrence_limit"] == {labels(target="shop/postgres/main"): 9}


async def test_target_that_no_alert_may_name_has_no_series(harness: EngineHarness) -> None:
    await harness.deliver(target="made-up")
    await harness.work()
    assert "remediation_recurrences" not in await page(harness)
