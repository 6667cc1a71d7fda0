"""From a delivery to the end of a run, on a real ledger with a real effect."""

from pathlib import Path

import pytest

from remediator.ledger import audit
from remediator.model.remediation import ItemState
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.payloads import alert, delivery


async def test_firing_alert_is_remediated_and_verified(bench: EngineHarness) -> None:
    bench.shelf.fill("a", "b")
    await bench.deliver()
    await bench.work()
    run = await bench.last_run()
    assert run.state == "succeeded"
    assert bench.shelf.touched == ["a", "b"]
    assert [item.state for item in await bench.items(run)] == [ItemState.APPLIED] * 2
    assert run.evidence.get("proof") == {"clean": True, "left": []}
    async with bench.context.ledger.read() as connection:
        history = [event.state for event in await audit.history(connection, run.id)]
        assert await first_break(connection) is None
    assert history == [
        *("planned", "prechecked", "admitted", "executing"),
        *("intended", "settled", "intended", "settled"),
        *("verifying", "succeeded"),
    ]
    assert await bench.notifications() == []


async def test_duplicates_replicas_and_siblings_join_one_episode(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    for fingerprint in ("f1", "f1", "f2", "f3"):
        await bench.deliver(fingerprint=fingerprint)
    await bench.work()
    assert len(await bench.runs()) == 1
    assert bench.shelf.touched == ["a"]


@pytest.mark.parametrize("mode", ["auto", "shadow", "approve"])
async def test_empty_plan_has_nothing_to_do_in_every_mode(folder: Path, mode: str) -> None:
    async with engine_harness(folder, inventory(mode=mode)) as bench:
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("nothing_to_do", "")


async def test_alert_resolved_before_its_run_touches_nothing(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    await bench.deliver()
    await bench.deliver(status="resolved")
    await bench.work()
    assert bench.shelf.touched == []
    assert bench.shelf.open_count == 0


async def test_alert_resolved_during_an_effect_stops_the_next_one(bench: EngineHarness) -> None:
    async def resolve() -> None:
        await bench.deliver(status="resolved")
        await bench.engine.tick()

    bench.shelf.fill("a", "b", "c")
    bench.shelf.after = resolve
    await bench.deliver()
    await bench.work()
    assert bench.shelf.touched == ["a"]
    assert (await bench.last_run()).evidence["stopped"] == "resolved"


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("stack", "the inventory has no stack 'x'"),
        ("target", "has no postgres target 'x'"),
        ("remediation", "no remediation"),
    ],
)
async def test_unknown_names_are_refused_and_recorded(bench: EngineHarness, label: str, reason: str) -> None:
    bench.shelf.fill("a")
    await bench.deliver(**{label: "x"})
    await bench.work()
    run = await bench.last_run()
    assert (run.state, run.reason) == ("refused", "unknown_target")
    assert reason in run.evidence["bounds"]["refused_by"]["unknown_target"]
    assert bench.shelf.open_count == 0


async def test_one_unknown_alert_does_not_stop_the_others_of_its_delivery(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    body = delivery([alert(stack="nobody", fingerprint="x"), alert()])
    await bench.context.ledger.accept(bench.clock.now(), body)
    await bench.work()
    assert sorted(run.state for run in await bench.runs()) == ["refused", "succeeded"]


async def test_one_delivery_makes_one_run(bench: EngineHarness) -> None:
    """Invariant 2: the next run needs another delivery of the alert."""
    await bench.deliver()
    await bench.work()
    bench.clock.advance(minutes=6)
    await bench.work()
    assert len(await bench.runs()) == 1


async def test_waiting_run_is_cancelled_when_its_alert_resolves(folder: Path) -> None:
    """Invariant 23."""
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        await bench.deliver(status="resolved")
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("cancelled", "resolved")
