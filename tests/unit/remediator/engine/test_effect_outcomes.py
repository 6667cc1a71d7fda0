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


async def test_ineffective_run_opens_the_breaker_and_is_not_repeated(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    bench.shelf.refill = True
    await bench.deliver()
    await bench.work()
    assert (await bench.last_run()).state == "ineffective"
    bench.clock.advance(minutes=6)
    await bench.deliver()
    await bench.work()
    run = await bench.last_run()
    assert (run.state, run.reason) == ("refused", "breaker")
    assert bench.shelf.touched == ["a"]
    async with bench.context.ledger.write() as connection:
        key = (await switches.open_breakers(connection))[0]
        assert (key.remediation, key.target) == ("clear_shelf", "shop/postgres/main")


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
    shelf = FailsOneItem(folder)
    shelf.outcome_of_b = outcome
    async with engine_harness(folder, inventory(), shelf) as bench:
        bench.shelf.fill(*names)
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == (state, reason)
        assert bench.shelf.touched == (["a", "c"] if outcome is ItemState.SKIPPED else ["a"]), "a failure ends the run"
        assert len(await bench.notifications()) == (state == "ineffective")
        async with bench.context.ledger.read() as connection:
            assert len(await switches.open_breakers(connection)) == (state == "ineffective")


async def test_items_beyond_the_batch_are_not_a_failure(folder: Path) -> None:
    async with engine_harness(folder, inventory(batch=2), FailsOneItem(folder)) as bench:
        bench.shelf.fill("a", "c", "d")
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, bench.shelf.touched) == ("succeeded", ["a", "c"])


async def test_second_failure_on_an_unreachable_target_opens_the_breaker(bench: EngineHarness) -> None:
    bench.shelf.reachable = False
    for expected in (("failed", "target_unreachable"), ("failed", "target_unreachable")):
        await bench.deliver()
        await bench.work()
        run = await bench.last_run()
        assert (run.state, run.reason) == expected
        assert run.evidence["error"] == "shop/postgres/main: no answer"
        bench.clock.advance(minutes=6)
    bench.shelf.reachable = True
    bench.shelf.fill("a")
    await bench.deliver()
    await bench.work()
    assert (await bench.last_run()).reason == "breaker"


async def test_outcome_of_a_hanging_effect_is_looked_up(folder: Path) -> None:
    async def hang() -> None:
        await asyncio.sleep(5)

    shelf = FolderRemediation(folder, timeout=timedelta(milliseconds=100))
    async with engine_harness(folder, inventory(), shelf) as bench:
        bench.shelf.fill("a")
        bench.shelf.after = hang
        await bench.deliver()
        await bench.work()
        (item,) = await bench.items(await bench.last_run())
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
    shelf = RecordsVerifiedItems(folder)
    async with engine_harness(folder, inventory(), shelf) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        assert shelf.verified_names == ["a", "b"]


async def test_operator_closes_the_breaker_of_one_target(bench: EngineHarness) -> None:
    """Invariant 15."""
    bench.shelf.refill = True
    for target in ("main", "spare"):
        bench.shelf.fill("a")
        await bench.deliver(target=target, fingerprint=target)
        await bench.work()
    async with bench.context.ledger.write() as connection:
        key = episodes.EpisodeKey("shop", "clear_shelf", "shop/postgres/main")
        assert await switches.close_breaker(connection, key, bench.clock.now(), "oncall")
        assert [each.target for each in await switches.open_breakers(connection)] == ["shop/postgres/spare"]
