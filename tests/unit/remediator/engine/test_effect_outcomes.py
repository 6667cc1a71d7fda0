"""Outcomes of effects: failures, hangs, proofs, and the breakers that they open."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.ledger import episodes, switches
from remediator.model.remediation import EffectOutcome, Item, ItemState, Verdict
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation


async def test_ineffective_run_opens_the_breaker_and_is_not_repeated(harness: EngineHarness) -> None:
    harness.files.fill("a")
    harness.files.refill = True
    await harness.deliver()
    await harness.work()
    assert (await harness.last_run()).state == "ineffective"
    harness.clock.advance(minutes=6)
    await harness.deliver()
    await harness.work()
    run = await harness.last_run()
    assert (run.state, run.reason) == ("refused", "breaker")
    assert harness.files.touched == ["a"]
    async with harness.context.ledger.write() as connection:
        key = (await switches.open_breakers(connection))[0]
        assert (key.remediation, key.target) == ("clear_folder", "shop/postgres/main")


class FailsOneItem(FolderRemediation):
    """Its file `b` ends as `outcome_of_b`; its proof reads only the applied items."""

    outcome_of_b = ItemState.FAILED

    def _remove(self, name: str) -> EffectOutcome:
        return EffectOutcome(self.outcome_of_b) if name == "b" else super()._remove(name)

    async def verify(self, items: Sequence[Item]) -> Verdict:
        return Verdict(not {item.identity["name"] for item in items} & set(self.names()))


@pytest.mark.parametrize(
    ("names", "outcome", "state", "reason"),
    [
        ("ab", ItemState.FAILED, "ineffective", "partly_applied"),
        ("abc", ItemState.FAILED, "ineffective", "partly_applied"),
        ("ab", ItemState.NOT_APPLIED, "ineffective", "partly_applied"),
        ("abc", ItemState.SKIPPED, "succeeded", ""),
    ],
)
async def test_partly_applied_run_does_not_succeed(
    folder: Path, names: str, outcome: ItemState, state: str, reason: str
) -> None:
    files = FailsOneItem(folder)
    files.outcome_of_b = outcome
    async with engine_harness(folder, inventory(), files) as harness:
        harness.files.fill(*names)
        await harness.deliver()
        await harness.work()
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == (state, reason)
        assert harness.files.touched == (["a", "c"] if outcome is ItemState.SKIPPED else ["a"]), (
            "a failure ends the run"
        )
        assert len(await harness.notifications()) == (state == "ineffective")
        assert await harness.breakers() == (state == "ineffective")


async def test_items_beyond_the_batch_are_not_a_failure(folder: Path) -> None:
    async with engine_harness(folder, inventory(batch=2), FailsOneItem(folder)) as harness:
        harness.files.fill("a", "c", "d")
        await harness.deliver()
        await harness.work()
        assert ((await harness.last_run()).state, harness.files.touched) == ("succeeded", ["a", "c"])


async def test_second_failure_on_an_unreachable_target_opens_the_breaker(harness: EngineHarness) -> None:
    harness.files.reachable = False
    for expected in (("failed", "target_unreachable"), ("failed", "target_unreachable")):
        await harness.deliver()
        await harness.work()
        run = await harness.last_run()
        assert (run.state, run.reason) == expected
        assert run.evidence["error"] == "shop/postgres/main: no answer"
        harness.clock.advance(minutes=6)
    harness.files.reachable = True
    harness.files.fill("a")
    await harness.deliver()
    await harness.work()
    assert (await harness.last_run()).reason == "breaker"


async def test_outcome_of_a_hanging_effect_is_looked_up(folder: Path) -> None:
    async def hang() -> None:
        await asyncio.sleep(5)

    files = FolderRemediation(folder, timeout=timedelta(milliseconds=100))
    async with engine_harness(folder, inventory(), files) as harness:
        harness.files.fill("a")
        harness.files.after = hang
        await harness.deliver()
        await harness.work()
        (item,) = await harness.items(await harness.last_run())
        assert item.state is ItemState.APPLIED
        assert item.detail.startswith("TimeoutError")


class RecordsVerifiedItems(FolderRemediation):
    """Records in `verified_names` the items of its proof."""

    verified_names: Sequence[object] = ()

    async def verify(self, items: Sequence[Item]) -> Verdict:
        self.verified_names = [item.identity["name"] for item in items]
        return await super().verify(items)


async def test_proof_covers_the_applied_items(folder: Path) -> None:
    """Invariant 14."""
    files = RecordsVerifiedItems(folder)
    async with engine_harness(folder, inventory(), files) as harness:
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
        assert files.verified_names == ["a", "b"]


async def test_operator_closes_the_breaker_of_one_target(harness: EngineHarness) -> None:
    """Invariant 15."""
    harness.files.refill = True
    for target in ("main", "spare"):
        harness.files.fill("a")
        await harness.deliver(target=target, fingerprint=target)
        await harness.work()
    async with harness.context.ledger.write() as connection:
        key = episodes.EpisodeKey("shop", "clear_folder", "shop/postgres/main")
        assert await switches.close_breaker(connection, key, harness.clock.now(), "oncall")
        assert [each.target for each in await switches.open_breakers(connection)] == ["shop/postgres/spare"]
