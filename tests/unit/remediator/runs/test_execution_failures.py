"""What does not answer, or fails in the middle: it is not waited for, not tried again, and not taken for done."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.ledger import effects, switches
from remediator.model.errors import LedgerUnavailable
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan, Scope
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation

HANGS = 3.0  # longer than any limit that these tests set, and not for ever: who waits for it is seen to


async def hang() -> None:
    await asyncio.sleep(HANGS)


async def refuse() -> None:
    raise OSError("gone")


async def end_state(bench: EngineHarness) -> tuple[str, str]:
    bench.shelf.fill("a")
    await bench.deliver()
    await bench.work()
    run = await bench.last_run()
    return run.state, run.reason


class FailsInItsEffect(FolderRemediation):
    """`tried` counts how often."""

    tried = 0

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        self.tried += 1
        raise OSError("reset by peer")


async def test_an_effect_that_fails_is_not_tried_again(folder: Path) -> None:
    """Invariant 6."""
    shelf = FailsInItsEffect(folder)
    async with engine_harness(folder, inventory(), shelf) as bench:
        assert await end_state(bench) == ("failed", "effect_failed")
        [item] = await bench.items(await bench.last_run())
        assert (shelf.tried, item.state) == (1, ItemState.NOT_APPLIED)


class HangsAtItsSecondOpening(FolderRemediation):
    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[FolderRemediation]:
        self.open_count += 1
        if self.open_count == 2:
            await asyncio.sleep(HANGS)
        yield self


async def test_a_target_that_hangs_before_the_first_effect_is_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 13."""
    monkeypatch.setattr("remediator.runs.execution.CONNECT_SECONDS", 0.1)
    async with engine_harness(folder, inventory(), HangsAtItsSecondOpening(folder)) as bench:
        assert await end_state(bench) == ("failed", "target_unreachable")
        assert bench.shelf.touched == []


class HangsInItsPlan(FolderRemediation):
    async def plan(self) -> Plan:
        await asyncio.sleep(HANGS)
        return await super().plan()


async def test_a_plan_that_does_not_come_is_a_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 13."""
    monkeypatch.setattr("remediator.runs.planning.PLAN_SECONDS", 0.1)
    async with engine_harness(folder, inventory(), HangsInItsPlan(folder)) as bench:
        assert await end_state(bench) == ("failed", "target_unreachable")


async def test_a_look_that_hangs_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 13."""
    monkeypatch.setattr("remediator.runs.outcome.CONNECT_SECONDS", 0.1)
    monkeypatch.setattr("remediator.runs.outcome.SETTLE_ATTEMPTS", 1)
    shelf = FolderRemediation(folder, after=hang, look=hang, timeout=timedelta(seconds=0.1))
    async with engine_harness(folder, inventory(), shelf) as bench:
        assert await end_state(bench) == ("unknown", "outcome_unknown")


async def test_an_effect_of_which_nothing_is_known_is_unknown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 14."""
    monkeypatch.setattr("remediator.runs.outcome.SETTLE_ATTEMPTS", 1)
    async with engine_harness(folder, inventory(), FailsInItsEffect(folder, look=refuse)) as bench:
        assert await end_state(bench) == ("unknown", "outcome_unknown")
        async with bench.context.ledger.read() as connection:
            assert len(await switches.open_breakers(connection)) == 1


async def test_a_result_that_can_not_be_read_is_unknown(folder: Path) -> None:
    """Invariant 14."""
    async with engine_harness(folder, inventory(verify_within="0s"), FolderRemediation(folder, look=refuse)) as bench:
        assert await end_state(bench) == ("unknown", "result_unreadable")


async def test_a_ledger_that_is_out_for_a_moment_is_no_failure_of_the_target(
    bench: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 27."""
    intend, out = effects.intend, iter([True])

    async def out_once(*arguments: Any) -> None:
        if next(out, False):
            raise LedgerUnavailable("the ledger: it is gone")
        await intend(*arguments)

    monkeypatch.setattr(effects, "intend", out_once)
    monkeypatch.setattr("remediator.engine.run_driver.LEDGER_RETRY_SECONDS", 0.01)
    assert await end_state(bench) == ("succeeded", "")
