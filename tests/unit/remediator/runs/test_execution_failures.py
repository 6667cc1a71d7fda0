"""Targets that hang or fail during a run: the run does not wait, does not repeat, and does not succeed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.ledger import effects
from remediator.model.errors import LedgerUnavailable
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan, Scope
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation

HANG_SECONDS = 3.0  # longer than any limit that these tests set, but finite, so that a run that waits is noticed


async def hang() -> None:
    await asyncio.sleep(HANG_SECONDS)


async def refuse() -> None:
    raise OSError("gone")


async def end_state(harness: EngineHarness) -> tuple[str, str]:
    harness.files.fill("a")
    await harness.deliver()
    await harness.work()
    run = await harness.last_run()
    return run.state, run.reason


class FailsInItsEffect(FolderRemediation):
    """Counts the attempts."""

    attempts = 0

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        self.attempts += 1
        raise OSError("reset by peer")


async def test_failed_effect_is_not_repeated(folder: Path) -> None:
    """Invariant 6."""
    files = FailsInItsEffect(folder)
    async with engine_harness(folder, inventory(), files) as harness:
        assert await end_state(harness) == ("failed", "effect_failed")
        [item] = await harness.items(await harness.last_run())
        assert (files.attempts, item.state) == (1, ItemState.NOT_APPLIED)


class HangsAtItsSecondOpening(FolderRemediation):
    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[FolderRemediation]:
        self.open_count += 1
        if self.open_count == 2:
            await asyncio.sleep(HANG_SECONDS)
        yield self


async def test_run_fails_when_its_target_hangs_before_the_first_effect(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 13."""
    monkeypatch.setattr("remediator.runs.execution.CONNECT_SECONDS", 0.1)
    async with engine_harness(folder, inventory(), HangsAtItsSecondOpening(folder)) as harness:
        assert await end_state(harness) == ("failed", "target_unreachable")
        assert harness.files.touched == []


class HangsInItsPlan(FolderRemediation):
    async def plan(self) -> Plan:
        await asyncio.sleep(HANG_SECONDS)
        return await super().plan()


async def test_run_fails_when_its_plan_times_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 13."""
    monkeypatch.setattr("remediator.runs.planning.PLAN_SECONDS", 0.1)
    async with engine_harness(folder, inventory(), HangsInItsPlan(folder)) as harness:
        assert await end_state(harness) == ("failed", "target_unreachable")


async def test_run_is_unknown_when_reading_its_outcome_hangs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 13."""
    monkeypatch.setattr("remediator.runs.outcome.CONNECT_SECONDS", 0.1)
    monkeypatch.setattr("remediator.runs.outcome.SETTLE_ATTEMPTS", 1)
    files = FolderRemediation(folder, after=hang, before_reading=hang, timeout=timedelta(seconds=0.1))
    async with engine_harness(folder, inventory(), files) as harness:
        assert await end_state(harness) == ("unknown", "outcome_unknown")


async def test_run_is_unknown_when_its_outcome_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 14."""
    monkeypatch.setattr("remediator.runs.outcome.SETTLE_ATTEMPTS", 1)
    async with engine_harness(folder, inventory(), FailsInItsEffect(folder, before_reading=refuse)) as harness:
        assert await end_state(harness) == ("unknown", "outcome_unknown")
        assert await harness.breakers() == 1


async def test_run_is_unknown_when_its_result_cannot_be_read(folder: Path) -> None:
    """Invariant 14."""
    files = FolderRemediation(folder, before_reading=refuse)
    async with engine_harness(folder, inventory(verify_within="0s"), files) as harness:
        assert await end_state(harness) == ("unknown", "result_unreadable")


async def test_short_ledger_outage_does_not_fail_the_run(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 27."""
    intend, faults = effects.intend, iter([True])

    async def fail_once(*arguments: Any) -> None:
        if next(faults, False):
            raise LedgerUnavailable("the ledger: it is gone")
        await intend(*arguments)

    monkeypatch.setattr(effects, "intend", fail_once)
    monkeypatch.setattr("remediator.engine.run_driver.LEDGER_RETRY_SECONDS", 0.01)
    assert await end_state(harness) == ("succeeded", "")
