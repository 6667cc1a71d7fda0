"""An episode without a resolution ends when Alertmanager no longer lists it, not when the remediator was away."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.escalation.conftest import receiver
from tests.unit.remediator.escalation.receiver import NotificationReceiver, harness_with_receiver
from tests.unit.remediator.payloads import alert

__all__ = ["receiver"]  # a fixture
FEW_CHECKS = 20  # fewer than a missing episode needs to vanish


@pytest.fixture
async def approval_harness(folder: Path) -> AsyncIterator[EngineHarness]:
    """Yield a harness with a run that awaits approval, and without Alertmanager."""
    async with engine_harness(folder, inventory(mode="approve")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        yield harness


async def vanished_notifications(harness: EngineHarness) -> list[str]:
    return [title for title in await harness.notification_titles() if "vanished" in title]


async def test_an_unconfirmed_episode_vanishes(approval_harness: EngineHarness) -> None:
    approval_harness.clock.advance(minutes=11)
    await approval_harness.run_vanished_checks()
    assert ((await approval_harness.last_run()).state, (await approval_harness.last_run()).reason) == (
        "cancelled",
        "vanished",
    )
    assert await vanished_notifications(approval_harness) == [
        "[shop] vanished, but 1 item is left: clear_folder on shop/postgres/main"
    ]


async def test_episode_does_not_vanish_before_two_repeat_intervals(approval_harness: EngineHarness) -> None:
    approval_harness.clock.advance(minutes=9)
    await approval_harness.run_vanished_checks()
    assert await vanished_notifications(approval_harness) == []


@pytest.mark.parametrize("restart", [True, False])
async def test_outage_of_the_remediator_ends_no_episode(approval_harness: EngineHarness, restart: bool) -> None:
    """While the remediator was down or the clock jumped, no delivery could confirm the episode."""
    await approval_harness.run_vanished_checks(FEW_CHECKS)
    if restart:
        await approval_harness.cut_power()
    approval_harness.clock.advance(minutes=30)
    await approval_harness.run_vanished_checks(FEW_CHECKS)
    await approval_harness.deliver()
    await approval_harness.run_vanished_checks()
    assert [run.state for run in await approval_harness.runs()] == ["awaiting_approval"]
    assert await vanished_notifications(approval_harness) == []


async def test_restarted_alertmanager_ends_no_episode(folder: Path, receiver: NotificationReceiver) -> None:
    """It starts without alerts and learns which fire within a minute or two."""
    async with harness_with_receiver(folder, receiver) as harness:
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
        harness.clock.advance(minutes=11)
        receiver.alerts = "down"  # type: ignore[assignment]
        with capture_logs() as logs:
            await harness.run_vanished_checks()
        assert [each["problem"].split(":")[0] for each in logs] == ["cannot read Alertmanager at http"]
        for known in ([], [alert()], []):
            receiver.alerts = known
            await harness.run_vanished_checks(FEW_CHECKS)
        assert await vanished_notifications(harness) == []
        await harness.run_vanished_checks()
        assert len(await vanished_notifications(harness)) == 1
