"""Twenty episodes compete for three places in the real engine: three get one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from remediator.ledger.runs import Run
from remediator.model.run_state import ACTIVE, RunState
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.payloads import alert, delivery

CONTENDERS = [f"db{number}" for number in range(20)]
WIDE = {"max_runs_per_hour": 1_000, "concurrency": 1_000}


def inventory_with_cap(capped: str, targets: Sequence[str] = CONTENDERS, **cap: int) -> Inventory:
    """Return an inventory in which `cap` is the cap of the remediation, the stack or all stacks."""
    caps = {name: {**WIDE, **(cap if name == capped else {})} for name in ("remediation", "stack", "all")}
    stacks = inventory(cooldown="0s", verify_within="0s", max_runs_per_hour=caps["remediation"]["max_runs_per_hour"])
    shop = stacks.stacks["shop"]
    limits = shop.limits.model_copy(update=caps["stack"])
    shop = shop.model_copy(update={"postgres": dict.fromkeys(targets, shop.postgres["main"]), "limits": limits})
    storm = stacks.limits.storm.model_copy(update={"targets": 1_000, "alerts": 1_000})
    all_limits = stacks.limits.model_copy(update={"storm": storm, **caps["all"]})
    return stacks.model_copy(update={"stacks": {"shop": shop}, "limits": all_limits})


async def contend(harness: EngineHarness) -> None:
    async def put_back() -> None:
        harness.files.fill("a")

    await put_back()
    harness.files.after = put_back  # each run finds an item
    body = delivery([alert(target=name, fingerprint=name) for name in CONTENDERS])
    await harness.context.ledger.accept(harness.clock.now(), body)
    await harness.engine.tick()


async def wait_for_decisions(harness: EngineHarness) -> list[Run]:
    """Return the runs once every one is deferred or held in its effect."""
    for _ in range(1_000):
        all_runs = await harness.runs()
        if all(run.state in (RunState.DEFERRED, RunState.EXECUTING) for run in all_runs):
            break
        await asyncio.sleep(0.02)
    return all_runs


@pytest.mark.parametrize("capped", ["remediation", "stack", "all"])
async def test_hourly_cap_of_three_admits_three_of_twenty(folder: Path, capped: str) -> None:
    """Invariant 3: counting and writing in separate transactions would admit all twenty."""
    async with engine_harness(folder, inventory_with_cap(capped, max_runs_per_hour=3)) as harness:
        await contend(harness)
        await harness.engine.wait_for_runs()
        all_runs = await harness.runs()
        assert len(all_runs) == 20
        assert sum(run.admitted_at is not None for run in all_runs) == 3
        assert sum((run.state, run.reason) == (RunState.DEFERRED, "rate") for run in all_runs) == 17
        assert len(harness.files.touched) == 3


@pytest.mark.parametrize("capped", ["stack", "all"])
async def test_concurrency_of_three_lets_three_of_twenty_act(folder: Path, capped: str) -> None:
    """Invariant 4: the cap on concurrent runs."""
    acting, most, release = 0, 0, asyncio.Event()

    async def hold() -> None:
        nonlocal acting, most
        acting += 1
        most = max(most, acting)
        await release.wait()
        acting -= 1

    async with engine_harness(folder, inventory_with_cap(capped, concurrency=3)) as harness:
        harness.files.before = hold
        await contend(harness)
        all_runs = await wait_for_decisions(harness)
        assert sum(run.state in ACTIVE for run in all_runs) == 3
        assert sum((run.state, run.reason) == (RunState.DEFERRED, "concurrency") for run in all_runs) == 17
        release.set()
        await harness.engine.wait_for_runs()
        assert most == 3
