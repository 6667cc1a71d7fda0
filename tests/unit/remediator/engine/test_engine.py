"""From a delivery to the end of a run, on a real ledger with a real effect."""

from pathlib import Path

import pytest

from remediator.ledger import audit
from remediator.model.remediation import ItemState
from remediator.runs.approval import approve
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.payloads import alert, delivery


async def test_firing_alert_is_remediated_and_verified(harness: EngineHarness) -> None:
    harness.files.fill("a", "b")
    await harness.deliver()
    await harness.work()
    run = await harness.last_run()
    assert run.state == "succeeded"
    assert harness.files.touched == ["a", "b"]
    assert [item.state for item in await harness.items(run)] == [ItemState.APPLIED] * 2
    assert run.evidence.get("proof") == {"clean": True, "left": []}
    async with harness.context.ledger.read() as connection:
        history = [event.state for event in await audit.history(connection, run.id)]
        assert await first_break(connection) is None
    assert history == [
        *("planned", "prechecked", "admitted", "executing"),
        *("intended", "settled", "intended", "settled"),
        *("verifying", "succeeded"),
    ]
    assert await harness.notifications() == []


async def test_duplicates_replicas_and_siblings_join_one_episode(harness: EngineHarness) -> None:
    harness.files.fill("a")
    for fingerprint in ("f1", "f1", "f2", "f3"):
        await harness.deliver(fingerprint=fingerprint)
    await harness.work()
    assert len(await harness.runs()) == 1
    assert harness.files.touched == ["a"]


@pytest.mark.parametrize("mode", ["auto", "shadow", "approve"])
async def test_empty_plan_has_nothing_to_do_in_every_mode(folder: Path, mode: str) -> None:
    async with engine_harness(folder, inventory(mode=mode)) as harness:
        await harness.deliver()
        await harness.work()
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == ("nothing_to_do", "")


async def test_alert_resolved_before_its_run_touches_nothing(harness: EngineHarness) -> None:
    harness.files.fill("a")
    await harness.deliver()
    await harness.deliver(status="resolved")
    await harness.work()
    assert harness.files.touched == []
    assert harness.files.open_count == 0


async def test_alert_resolved_during_an_effect_stops_the_next_one(harness: EngineHarness) -> None:
    async def resolve() -> None:
        await harness.deliver(status="resolved")
        await harness.engine.tick()

    harness.files.fill("a", "b", "c")
    harness.files.after = resolve
    await harness.deliver()
    await harness.work()
    assert harness.files.touched == ["a"]
    assert (await harness.last_run()).evidence["stopped"] == "resolved"


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("stack", "the inventory has no stack 'x'"),
        ("target", "has no postgres target 'x'"),
        ("remediation", "no remediation"),
    ],
)
async def test_unknown_names_are_refused_and_recorded(harness: EngineHarness, label: str, reason: str) -> None:
    harness.files.fill("a")
    await harness.deliver(**{label: "x"})
    await harness.work()
    run = await harness.last_run()
    assert (run.state, run.reason) == ("refused", "unknown_target")
    assert reason in run.evidence["bounds"]["refused_by"]["unknown_target"]
    assert harness.files.open_count == 0


@pytest.mark.parametrize("mode", ["auto", "approve"])
async def test_alert_whose_target_was_renamed_is_refused_and_its_contacts_learn_of_it(folder: Path, mode: str) -> None:
    async with engine_harness(folder, inventory(mode=mode)) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        if mode == "approve":
            await approve(harness.context, (await harness.last_run()).id, "oncall")
        shop = harness.context.inventory.stacks["shop"]
        renamed = shop.model_copy(update={"postgres": {"primary": shop.postgres["main"]}})
        harness.context.inventory = harness.context.inventory.model_copy(update={"stacks": {"shop": renamed}})
        for _ in range(4):
            await harness.work()
            harness.clock.advance(minutes=5)
            await harness.deliver()
        reasons = [(run.state, run.reason) for run in await harness.runs()]
        assert reasons[1:] == [("refused", "unknown_target")], "once"
        assert (await harness.notification_titles())[-1] == (
            "[shop] 1 alert names a target that the inventory does not have"
        )


async def test_one_unknown_alert_does_not_stop_the_others_of_its_delivery(harness: EngineHarness) -> None:
    harness.files.fill("a")
    body = delivery([alert(stack="nobody", fingerprint="x"), alert()])
    await harness.context.ledger.accept(harness.clock.now(), body)
    await harness.work()
    assert sorted(run.state for run in await harness.runs()) == ["refused", "succeeded"]


async def test_one_delivery_makes_one_run(harness: EngineHarness) -> None:
    """Invariant 2: the next run needs another delivery of the alert."""
    await harness.deliver()
    await harness.work()
    harness.clock.advance(minutes=6)
    await harness.work()
    assert len(await harness.runs()) == 1


async def test_waiting_run_is_cancelled_when_its_alert_resolves(folder: Path) -> None:
    """Invariant 23."""
    async with engine_harness(folder, inventory(mode="approve")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        await harness.deliver(status="resolved")
        await harness.work()
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == ("cancelled", "resolved")
