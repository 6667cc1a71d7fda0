"""From a delivery to the end of a run, on a real ledger and a real effect."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from remediator.ledger import audit, episodes, switches
from remediator.ledger.schema import outbox
from remediator.model.remediation import EffectOutcome, Item, ItemState, Verdict
from remediator.runs.approval import approve, reject
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import alert, delivery
from tests.unit.remediator.polling import becomes


async def escalations(bench: EngineHarness) -> list[Any]:
    async with bench.context.ledger.read() as connection:
        return list((await connection.execute(select(outbox).order_by(outbox.c.id))).all())


async def test_a_firing_alert_is_remediated_and_proved(bench: EngineHarness) -> None:
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
    assert await escalations(bench) == []


async def test_duplicates_replicas_and_siblings_join_one_episode(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    for fingerprint in ("f1", "f1", "f2", "f3"):
        await bench.deliver(fingerprint=fingerprint)
    await bench.work()
    assert len(await bench.runs()) == 1
    assert bench.shelf.touched == ["a"]


async def test_more_than_max_items_is_refused_and_people_are_told(bench: EngineHarness) -> None:
    bench.shelf.fill(*"abcdef")
    await bench.deliver()
    await bench.work()
    run = await bench.last_run()
    assert (run.state, run.reason, bench.shelf.touched) == ("refused", "max_items", [])
    (message,) = await escalations(bench)
    assert "max_items" in message.title
    assert "found 6, max_items is 5" in message.body
    assert "https://runbooks.example/shop#shelf" in message.body


async def test_the_same_refusal_is_escalated_once_an_episode(bench: EngineHarness) -> None:
    bench.shelf.fill(*"abcdef")
    for _ in range(3):
        await bench.deliver()
        await bench.work()
        bench.clock.advance(minutes=6)
    assert [run.state for run in await bench.runs()] == ["refused"] * 3
    assert len(await escalations(bench)) == 1


@pytest.mark.parametrize("mode", ["auto", "shadow", "approve"])
async def test_an_empty_plan_does_nothing_and_asks_nobody(folder: Path, mode: str) -> None:
    async with engine_harness(folder, inventory(mode=mode)) as bench:
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("nothing_to_do", "")


async def test_resolved_before_it_started_touches_nothing(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    await bench.deliver()
    await bench.deliver(status="resolved")
    await bench.work()
    assert bench.shelf.touched == []
    assert bench.shelf.open_count == 0


async def test_resolved_while_it_acts_starts_no_further_effect(bench: EngineHarness) -> None:
    async def resolve() -> None:
        await bench.deliver(status="resolved")
        await bench.engine.tick()

    bench.shelf.fill("a", "b", "c")
    bench.shelf.after = resolve
    await bench.deliver()
    await bench.work()
    assert bench.shelf.touched == ["a"]
    assert (await bench.last_run()).evidence["stopped"] == "resolved"


async def test_the_kill_switch_works_before_every_effect(bench: EngineHarness) -> None:
    async def pause() -> None:
        async with bench.context.ledger.write() as connection:
            await switches.pause_now(connection, bench.clock.now(), "oncall", "looking", None, None)

    bench.shelf.fill("a", "b")
    bench.shelf.after = pause
    await bench.deliver()
    await bench.work()
    assert bench.shelf.touched == ["a"]
    bench.clock.advance(minutes=6)
    await bench.deliver()
    await bench.work()
    assert (await bench.last_run()).reason == "kill_switch"


async def test_what_does_not_help_is_called_ineffective_and_not_tried_again(bench: EngineHarness) -> None:
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
    """One of its files, `b`, ends as `outcome_of_b`; its proof looks at nothing but what was applied."""

    outcome_of_b = ItemState.FAILED

    def _remove(self, name: str) -> EffectOutcome:
        return EffectOutcome(self.outcome_of_b) if name == "b" else super()._remove(name)

    async def verify(self, items: Sequence[Item]) -> Verdict:
        return Verdict(not {item.identity["name"] for item in items} & set(self.names()))


@pytest.mark.parametrize(
    ("names", "meets", "state", "reason"),
    [
        ("ab", ItemState.FAILED, "ineffective", "partly_applied"),
        ("abc", ItemState.FAILED, "ineffective", "partly_applied"),
        ("ab", ItemState.NOT_APPLIED, "ineffective", "partly_applied"),
        ("abc", ItemState.SKIPPED, "succeeded", ""),
    ],
)
async def test_what_was_applied_in_part_did_not_succeed(
    folder: Path, names: str, meets: ItemState, state: str, reason: str
) -> None:
    shelf = FailsOneItem(folder)
    shelf.outcome_of_b = meets
    async with engine_harness(folder, inventory(), shelf) as bench:
        bench.shelf.fill(*names)
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == (state, reason)
        assert bench.shelf.touched == (["a", "c"] if meets is ItemState.SKIPPED else ["a"]), "a failure ends it"
        assert len(await escalations(bench)) == (state == "ineffective")
        async with bench.context.ledger.read() as connection:
            assert len(await switches.open_breakers(connection)) == (state == "ineffective")


async def test_what_is_left_for_the_next_batch_is_no_failure(folder: Path) -> None:
    async with engine_harness(folder, inventory(batch=2), FailsOneItem(folder)) as bench:
        bench.shelf.fill("a", "c", "d")
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, bench.shelf.touched) == ("succeeded", ["a", "c"])


async def test_an_unreachable_target_fails_and_the_second_failure_opens_the_breaker(bench: EngineHarness) -> None:
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


@pytest.mark.parametrize(
    ("mode", "state"), [("off", "refused"), ("shadow", "shadow"), ("approve", "awaiting_approval")]
)
async def test_only_auto_touches_anything(folder: Path, mode: str, state: str) -> None:
    async with engine_harness(folder, inventory(mode=mode)) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        assert (await bench.last_run()).state == state
        assert bench.shelf.touched == []


async def test_an_approval_covers_the_items_it_lists_and_no_others(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        run = await bench.last_run()
        bench.shelf.fill("later")
        (folder / "b").unlink()
        await approve(bench.context, run.id, "oncall")
        await bench.work()
        run = await bench.last_run()
        assert bench.shelf.touched == ["a"]
        assert [item.state for item in await bench.items(run)] == [ItemState.APPLIED, ItemState.SKIPPED]
        assert run.approved_by == "oncall"


@pytest.mark.parametrize("tighter", [{"max_items": 1}, {"batch": 1}, {"mode": "off"}])
async def test_a_yes_passes_no_bound_that_was_tightened_since(folder: Path, tighter: dict[str, Any]) -> None:
    async with engine_harness(folder, inventory(mode="approve", batch=2)) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
    async with engine_harness(folder, inventory(**{"mode": "approve", "batch": 2, **tighter})) as bench:
        await approve(bench.context, (await bench.last_run()).id, "oncall")
        await bench.work()
        assert ((await bench.last_run()).state, bench.shelf.touched) == ("refused", [])


async def test_a_rejected_run_ends(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        await reject(bench.context, (await bench.last_run()).id, "oncall")
        await bench.work()
        assert (await bench.last_run()).state == "rejected"
        assert bench.shelf.touched == []


async def test_an_approval_runs_out(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve", approve_within="5m")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        bench.clock.advance(minutes=6)
        await bench.work()
        assert (await bench.last_run()).state == "expired"


async def test_a_deferred_run_waits_for_its_time_and_for_its_alert(folder: Path) -> None:
    async with engine_harness(folder, inventory(min_firing="10m")) as bench:
        bench.shelf.fill("a")
        await bench.deliver(starts="2026-03-01T12:00:00Z")
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("deferred", "min_firing")
        bench.clock.advance(minutes=11)
        await bench.work()
        assert (await bench.last_run()).state == "deferred", "nobody has said since that it still fires"
        await bench.deliver()
        await bench.work()
        assert (await bench.last_run()).state == "succeeded"


async def test_the_rate_is_kept_across_episodes(folder: Path) -> None:
    async with engine_harness(folder, inventory(max_runs_per_hour=2, cooldown="0s")) as bench:
        for _ in range(3):
            bench.shelf.fill("a")
            starts = bench.clock.now().isoformat()
            await bench.deliver(starts=starts)
            await bench.work()
            await bench.deliver(status="resolved", starts=starts)
            await bench.work()
            bench.clock.advance(minutes=1)
        assert [run.state for run in await bench.runs()] == ["succeeded", "succeeded", "cancelled"]
        assert bench.shelf.touched == ["a", "a"]


async def test_two_episodes_share_the_concurrency(bench: EngineHarness) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        started.set()
        await go_on.wait()

    bench.shelf.fill("a")
    bench.shelf.before = hold
    await bench.deliver()
    await bench.engine.tick()
    await started.wait()
    await bench.deliver(target="spare", fingerprint="f2")
    await bench.engine.tick()

    async def runs() -> list[tuple[str, str]]:
        return [(run.state, run.reason) for run in await bench.runs()]

    await becomes(runs, [("executing", ""), ("deferred", "concurrency")])
    go_on.set()
    await bench.engine.wait_for_runs()


async def test_an_effect_that_hangs_is_looked_up_not_guessed(folder: Path) -> None:
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


async def test_a_storm_is_left_to_people(folder: Path) -> None:
    what = inventory()
    storm = what.limits.storm.model_copy(update={"alerts": 2})
    limits = what.limits.model_copy(update={"storm": storm})
    async with engine_harness(folder, what.model_copy(update={"limits": limits})) as bench:
        bench.shelf.fill("a")
        for fingerprint in ("f1", "f2", "f3"):
            await bench.deliver(fingerprint=fingerprint)
        await bench.work()
        assert (await bench.last_run()).reason == "storm"


async def test_one_delivery_makes_one_run(bench: EngineHarness) -> None:
    """Invariant 2: the next one wants the alert to be delivered again."""
    await bench.deliver()
    await bench.work()
    bench.clock.advance(minutes=6)
    await bench.work()
    assert len(await bench.runs()) == 1


async def test_switched_off_nothing_is_looked_at(folder: Path) -> None:
    """Invariant 10."""
    async with engine_harness(folder, inventory(mode="off")) as bench:
        await bench.deliver()
        await bench.work()
        assert bench.shelf.open_count == 0


async def test_a_deferral_ends_within_the_hour_however_often_it_is_put_off(folder: Path) -> None:
    """Invariant 13."""
    async with engine_harness(folder, inventory(block_on=["Failover"])) as bench:
        bench.shelf.fill("a")
        for _ in range(11):
            await bench.deliver()
            await bench.work()
            bench.clock.advance(minutes=6)
        first, *_ = await bench.runs()
        assert (first.state, first.reason) == ("expired", "alertmanager_unreadable")


class RecordsVerifiedItems(FolderRemediation):
    """`verified_names` are the names that its proof was about."""

    verified_names: Sequence[object] = ()

    async def verify(self, items: Sequence[Item]) -> Verdict:
        self.verified_names = [item.identity["name"] for item in items]
        return await super().verify(items)


async def test_the_proof_is_about_what_was_applied(folder: Path) -> None:
    """Invariant 14."""
    shelf = RecordsVerifiedItems(folder)
    async with engine_harness(folder, inventory(), shelf) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        assert shelf.verified_names == ["a", "b"]


async def test_resolved_while_it_waits_it_is_called_off(folder: Path) -> None:
    """Invariant 23."""
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        await bench.deliver(status="resolved")
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("cancelled", "resolved")


async def test_a_person_closes_the_breaker_of_one_target(bench: EngineHarness) -> None:
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
