"""Each bound stops a real run, by the facts of the ledger, the inventory and Alertmanager."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.alertmanager import AlertmanagerReader
from remediator.engine.engine import Engine
from remediator.ledger import switches
from remediator.model.run_state import RunState
from runbookd.inventory import Freeze, Inventory, Secret, SecretStr
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import no_fault
from tests.unit.remediator.payloads import alert, delivery

MINUTE = timedelta(minutes=1)


async def outcome(harness: EngineHarness) -> tuple[str, str, int]:
    """Return the state and reason of the last run, and the number of touched items."""
    run = await harness.last_run()
    return run.state, run.reason, len(harness.files.touched)


async def fire(harness: EngineHarness, **labels: str) -> tuple[str, str, int]:
    harness.files.fill("a")
    await harness.deliver(starts=harness.clock.now().isoformat(), **labels)
    await harness.work()
    return await outcome(harness)


async def resolve(harness: EngineHarness, **labels: str) -> None:
    await harness.deliver(status="resolved", starts=harness.clock.now().isoformat(), **labels)
    await harness.work()


def with_shop(stacks: Inventory, **changes: Any) -> Inventory:
    return stacks.model_copy(update={"stacks": {"shop": stacks.stacks["shop"].model_copy(update=changes)}})


def inventory_with_freeze(begins: timedelta, ends: timedelta, **settings: Any) -> Inventory:
    freeze = Freeze.model_validate({"from": START + begins, "to": START + ends})
    return with_shop(inventory(**settings), freezes={"holidays": freeze})


async def test_freeze_refuses_runs(folder: Path) -> None:
    """Invariant 11."""
    async with engine_harness(folder, inventory_with_freeze(-MINUTE, 20 * MINUTE)) as harness:
        assert await fire(harness) == ("refused", "freeze", 0)
        harness.clock.advance(minutes=25)
        assert await fire(harness) == ("succeeded", "", 1)


async def test_no_effect_starts_after_a_freeze_has_begun(folder: Path) -> None:
    """Invariant 11."""
    async with engine_harness(folder, inventory_with_freeze(MINUTE, 20 * MINUTE)) as harness:

        async def enter_freeze() -> None:
            harness.clock.advance(minutes=2)

        harness.files.fill("b")
        harness.files.after = enter_freeze
        assert await fire(harness) == ("interrupted", "freeze", 1)


async def test_run_outside_its_window_is_deferred(folder: Path) -> None:
    """Invariant 11."""
    async with engine_harness(folder, inventory(only_in="noon")) as harness:
        harness.clock.advance(minutes=40)
        assert await fire(harness) == ("deferred", "window", 0)


def restart(harness: EngineHarness, **changes: Any) -> None:
    """Restart the remediator with a changed context."""
    harness.context = replace(harness.context, **changes)
    harness.engine = Engine(harness.context)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("off", ("refused", "mode_off", 0)),
        ("shadow", ("shadow", "", 0)),
        ("approve", ("awaiting_approval", "", 0)),
        ("auto", ("succeeded", "", 1)),
    ],
)
async def test_run_deferred_across_a_restart_uses_the_current_mode(
    folder: Path, mode: str, expected: tuple[str, str, int]
) -> None:
    """Invariant 10."""
    async with engine_harness(folder, inventory(min_firing="5m")) as harness:
        assert await fire(harness) == ("deferred", "min_firing", 0)
        restart(harness, inventory=inventory(min_firing="5m", mode=mode))
        harness.clock.advance(minutes=6)
        assert await fire(harness) == expected


HarnessAction = Callable[[EngineHarness], Awaitable[object]]


def pause_action(stack: str | None, span: timedelta | None = None) -> HarnessAction:
    async def act(harness: EngineHarness) -> None:
        async with harness.context.ledger.write() as connection:
            await switches.pause_now(connection, harness.clock.now(), "oncall", "looking", stack, span)

    return act


def resume_action(stack: str | None) -> HarnessAction:
    async def act(harness: EngineHarness) -> None:
        async with harness.context.ledger.write() as connection:
            await switches.resume(connection, harness.clock.now(), "oncall", stack)

    return act


@pytest.mark.parametrize(
    ("actions", "runs"),
    [
        ([pause_action(None)], False),
        ([pause_action("shop")], False),
        ([pause_action("other")], True),
        ([pause_action(None, MINUTE)], False),
        ([pause_action("shop"), resume_action("other")], False),
        ([pause_action(None), resume_action("shop")], False),
        ([pause_action(None), pause_action("shop"), resume_action("shop")], False),
        ([pause_action("shop"), resume_action("shop")], True),
        ([pause_action("shop"), resume_action(None)], True),
    ],
)
async def test_pause_and_resume_apply_to_their_stack_or_to_all(
    harness: EngineHarness, actions: list[HarnessAction], runs: bool
) -> None:
    """Invariant 7: a pause of a stack ends by a resume of that stack or of all stacks."""
    for action in actions:
        await action(harness)
    assert await fire(harness) == (("succeeded", "", 1) if runs else ("refused", "kill_switch", 0))


@pytest.mark.parametrize("which", ["main", "spare"])
async def test_pause_of_a_stack_is_checked_before_every_effect(harness: EngineHarness, which: str) -> None:
    """Invariant 7."""
    harness.files.fill("b")
    harness.files.after = lambda: pause_action("shop")(harness)
    assert await fire(harness, target=which) == ("interrupted", "kill_switch", 1)


async def test_storm_lasts_until_its_cooldown_is_over(folder: Path) -> None:
    """Invariant 30."""
    stacks = inventory(cooldown="0s")
    storm = stacks.limits.storm.model_copy(update={"targets": 1})
    stacks = stacks.model_copy(update={"limits": stacks.limits.model_copy(update={"storm": storm})})
    async with engine_harness(folder, stacks) as harness:
        harness.files.fill("a")
        two = [alert(), alert(target="spare", fingerprint="f2")]
        await harness.context.ledger.accept(harness.clock.now(), delivery(two))
        await harness.work()
        assert {run.reason for run in await harness.runs()} == {"storm"}
        for which in ({}, {"target": "spare", "fingerprint": "f2"}):
            await resolve(harness, **which)
        harness.clock.advance(minutes=9)
        assert await fire(harness) == ("refused", "storm", 0)
        harness.clock.advance(minutes=2)
        assert await fire(harness) == ("succeeded", "", 1)


async def test_truncated_alerts_count_as_a_storm(harness: EngineHarness) -> None:
    """Invariant 30: the truncated alerts may be anything."""
    body = delivery().replace(b'"truncatedAlerts": 0', b'"truncatedAlerts": 3')
    await harness.context.ledger.accept(harness.clock.now(), body)
    assert await fire(harness) == ("refused", "storm", 0)


async def test_negative_count_of_truncated_alerts_is_no_storm(harness: EngineHarness) -> None:
    body = delivery().replace(b'"truncatedAlerts": 0', b'"truncatedAlerts": -5')
    await harness.context.ledger.accept(harness.clock.now(), body)
    assert await fire(harness) == ("succeeded", "", 1)


@pytest.mark.parametrize("of", ["all", "the stack"])
async def test_alert_without_a_recent_confirmation_is_refused(folder: Path, of: str) -> None:
    """Invariant 30."""
    stacks = inventory()
    if of == "all":
        stacks = stacks.model_copy(update={"limits": stacks.limits.model_copy(update={"max_alert_age": MINUTE})})
    else:
        stacks = with_shop(stacks, limits=stacks.stacks["shop"].limits.model_copy(update={"max_alert_age": MINUTE}))
    async with engine_harness(folder, stacks) as harness:
        harness.files.fill("a")
        await harness.deliver()
        harness.clock.advance(minutes=2)
        await harness.work()
        assert await outcome(harness) == ("refused", "stale", 0)


@dataclass
class FakeAlertmanager:
    """An API that reports firing alerts like Alertmanager, or fails."""

    url: str = ""
    firing: list[dict[str, str]] = field(default_factory=list)
    status: int = 200

    async def answer(self, _: web.Request) -> web.Response:
        return web.json_response([{"labels": labels} for labels in self.firing], status=self.status)


@asynccontextmanager
async def fake_alertmanager() -> AsyncIterator[FakeAlertmanager]:
    fake, app = FakeAlertmanager(), web.Application()
    app.router.add_get("/api/v2/alerts", fake.answer)
    async with TestServer(app) as server:
        fake.url = f"http://127.0.0.1:{server.port}"
        yield fake


@asynccontextmanager
async def harness_with_alertmanager(folder: Path) -> AsyncIterator[tuple[EngineHarness, FakeAlertmanager]]:
    """Yield a harness with `Failover` in `block_on`, and its Alertmanager."""
    async with fake_alertmanager() as fake, engine_harness(folder, inventory(block_on=["Failover"])) as harness:
        restart(harness, alertmanager=AlertmanagerReader(Secret("alertmanager.url", SecretStr(fake.url), None)))
        yield harness, fake


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"alertname": "Failover", "stack": "shop"}, ("refused", "blocked_by_alert", 0)),
        ({"alertname": "Failover"}, ("refused", "blocked_by_alert", 0)),
        ({"alertname": "Failover", "stack": "other"}, ("succeeded", "", 1)),
        ({"alertname": "Another", "stack": "shop"}, ("succeeded", "", 1)),
    ],
)
async def test_firing_alert_of_block_on_refuses_the_run(
    folder: Path, labels: dict[str, str], expected: tuple[str, str, int]
) -> None:
    """Invariant 30."""
    async with harness_with_alertmanager(folder) as (harness, alertmanager):
        alertmanager.firing = [labels]
        assert await fire(harness) == expected


@pytest.mark.parametrize(("status", "reason"), [(200, "blocked_by_alert"), (500, "alertmanager_unreadable")])
async def test_no_effect_begins_once_block_on_fires_or_cannot_be_read(folder: Path, status: int, reason: str) -> None:
    """Invariant 30."""
    async with harness_with_alertmanager(folder) as (harness, alertmanager):

        async def fail_over() -> None:
            alertmanager.firing, alertmanager.status = [{"alertname": "Failover"}], status

        harness.files.fill("b")
        harness.files.after = fail_over
        assert await fire(harness) == ("interrupted", reason, 1)


async def test_no_effect_begins_once_a_storm_was_seen(folder: Path) -> None:
    """Invariant 30."""
    async with engine_harness(folder, inventory()) as harness:

        async def see_storm() -> None:
            async with harness.context.ledger.write() as connection:
                await switches.note_storm(connection, harness.clock.now(), "many")

        harness.files.fill("b")
        harness.files.after = see_storm
        assert await fire(harness) == ("interrupted", "storm", 1)


async def test_run_is_deferred_when_alertmanager_is_unreadable(folder: Path) -> None:
    """Invariant 30."""
    async with harness_with_alertmanager(folder) as (harness, alertmanager):
        alertmanager.status = 500
        assert await fire(harness) == ("deferred", "alertmanager_unreadable", 0)
        alertmanager.status = 200
        harness.clock.advance(seconds=10)
        assert await fire(harness) == ("succeeded", "", 1)


async def test_run_with_block_on_is_deferred_without_an_alertmanager(folder: Path) -> None:
    """Invariant 30."""
    async with engine_harness(folder, inventory(block_on=["Failover"])) as harness:
        assert await fire(harness) == ("deferred", "alertmanager_unreadable", 0)


async def test_plan_above_max_share_is_refused(folder: Path) -> None:
    """Invariant 9."""
    async with engine_harness(folder, inventory(max_share=0.2)) as harness:  # of ten
        harness.files.fill("b", "c")
        assert await fire(harness) == ("refused", "max_share", 0)


async def test_active_run_of_an_ended_episode_keeps_its_target(folder: Path) -> None:
    """Invariant 4: its alert ends and fires again while the run is active."""
    stacks = inventory(cooldown="0s")
    stacks = stacks.model_copy(update={"limits": stacks.limits.model_copy(update={"concurrency": 2})})
    async with engine_harness(folder, stacks) as harness:

        async def end_and_fire_again() -> None:
            harness.files.before = no_fault
            await harness.deliver(status="resolved", starts=harness.clock.now().isoformat())
            await harness.deliver(starts=harness.clock.now().isoformat())
            for _ in range(2):
                await harness.engine.tick()
            await asyncio.gather(*(task for run, task in harness.engine._drive_tasks.items() if run == 2))

        harness.files.before = end_and_fire_again
        await fire(harness)
        first, second = await harness.runs()
        assert (first.state, second.state, second.reason) == ("succeeded", RunState.DEFERRED, "concurrency")


async def test_hourly_cap_covers_a_full_hour(folder: Path) -> None:
    """Invariant 3."""
    async with engine_harness(folder, inventory(max_runs_per_hour=1, cooldown="0s")) as harness:
        assert await fire(harness) == ("succeeded", "", 1)
        await resolve(harness)
        harness.clock.advance(minutes=59)
        assert await fire(harness) == ("deferred", "rate", 1)
        harness.clock.advance(minutes=2)
        assert await fire(harness) == ("succeeded", "", 2)
