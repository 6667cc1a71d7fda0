"""Previews: they predict what the engine then does, and leave no trace."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from remediator.ledger import switches
from remediator.ledger.schema import metadata
from remediator.model.delivery import parse_delivery
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import MalformedDelivery
from remediator.model.run_state import RunState
from remediator.server.dry_run import NO_NEW_RUN, Preview, preview_episode, simulate
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.payloads import alert, delivery

FOLDER = EpisodeKey("shop", "clear_folder", "shop/postgres/main")


async def contents(harness: EngineHarness) -> dict[str, list[Any]]:
    async with harness.context.ledger.read() as connection:
        return {table.name: list(await connection.execute(select(table))) for table in metadata.sorted_tables}


async def assert_unchanged(harness: EngineHarness, awaitable: Any) -> Any:
    """Return the result, after checking that the ledger and the folder have not changed."""
    before, names, touched = await contents(harness), harness.files.names(), list(harness.files.touched)
    answer = await awaitable
    assert await contents(harness) == before
    assert (harness.files.names(), harness.files.touched) == (names, touched)
    return answer


async def preview(harness: EngineHarness) -> Preview:
    result: Preview = await assert_unchanged(harness, preview_episode(harness.context, FOLDER))
    return result


async def simulate_alerts(harness: EngineHarness, *alerts: Any) -> list[Preview]:
    body = parse_delivery(delivery(list(alerts) or [alert()]))
    return list(await assert_unchanged(harness, simulate(harness.context, body)))


@pytest.mark.parametrize(
    ("settings", "files", "would", "reason"),
    [
        ({}, "ab", RunState.ADMITTED, ""),
        ({}, "", RunState.NOTHING_TO_DO, ""),
        ({"mode": "shadow"}, "ab", RunState.SHADOW, ""),
        ({"mode": "approve"}, "ab", RunState.AWAITING_APPROVAL, ""),
        ({"max_items": 1}, "ab", RunState.REFUSED, "max_items"),
        ({"max_share": 0.1}, "ab", RunState.REFUSED, "max_share"),
        ({"only_in": "noon", "min_firing": "5m"}, "ab", RunState.DEFERRED, "min_firing"),
        ({"mode": "off"}, "ab", RunState.REFUSED, "mode_off"),
    ],
)
async def test_simulation_predicts_what_the_engine_does(
    folder: Path, settings: dict[str, Any], files: str, would: RunState, reason: str
) -> None:
    async with engine_harness(folder, inventory(**settings)) as harness:
        harness.files.fill(*files)
        [result] = await simulate_alerts(harness)
        await harness.deliver()
        await harness.engine.tick()
        await harness.engine.wait_for_runs()
        run = await harness.last_run()
        assert (result.would, result.reason) == (would, reason)
        if would is RunState.ADMITTED:
            assert run.state in (RunState.VERIFYING, RunState.SUCCEEDED)
        else:
            assert (run.state, run.reason) == (would, reason)


async def test_preview_has_the_numbers_of_the_stopping_bound(folder: Path) -> None:
    async with engine_harness(folder, inventory(max_items=1)) as harness:
        harness.files.fill("a", "b")
        result = await preview(harness)
    assert result.detail == "found 2, max_items is 1"
    assert result.decision is not None
    assert list(result.decision.refusals) == ["max_items"]
    assert result.facts is not None
    assert (result.facts.plan.found, result.facts.plan.max_items) == (2, 1)
    assert result.plan is not None
    assert [item.identity["name"] for item in result.plan.items] == ["a", "b"]


async def test_preview_reports_a_pause(harness: EngineHarness) -> None:
    harness.files.fill("a")
    async with harness.context.ledger.write() as connection:
        await switches.pause_now(connection, harness.clock.now(), "oncall", "deploy", None, None)
    assert (await preview(harness)).detail == "paused: deploy (by oncall)"


async def test_simulated_storm_is_refused_and_not_recorded(harness: EngineHarness) -> None:
    harness.files.fill("a")
    many = [alert(fingerprint=f"f{number}", instance=str(number)) for number in range(21)]
    [result] = await simulate_alerts(harness, *many)
    assert (result.would, result.reason) == (RunState.REFUSED, "storm")
    assert (await preview(harness)).would is RunState.ADMITTED
    await harness.deliver()
    await harness.work()
    assert (await harness.last_run()).state is RunState.SUCCEEDED


async def test_preview_of_an_unreachable_target_is_failed(harness: EngineHarness) -> None:
    harness.files.reachable = False
    result = await preview(harness)
    assert (result.would, result.reason) == (RunState.FAILED, "target_unreachable")
    assert result.detail == "shop/postgres/main: no answer"


async def test_preview_of_an_unconfirmed_episode_is_stale(harness: EngineHarness) -> None:
    await harness.deliver()
    await harness.work()
    harness.files.fill("a")
    harness.clock.advance(minutes=11)
    assert (await preview(harness)).reason == "stale"
    assert (await simulate_alerts(harness))[0].would is RunState.ADMITTED  # the delivery confirms it


async def test_simulated_delivery_joins_a_run_that_awaits_approval(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        [result] = await simulate_alerts(harness)
        assert (result.would, result.reason, result.detail) == (
            NO_NEW_RUN,
            "under_way",
            "joins run 1, which is awaiting_approval",
        )
        assert (await preview(harness)).would is RunState.AWAITING_APPROVAL


async def test_preview_waits_for_the_cooldown(harness: EngineHarness) -> None:
    harness.files.fill("a")
    await harness.deliver()
    await harness.work()
    harness.files.fill("b")
    harness.clock.advance(minutes=1)
    [result] = await simulate_alerts(harness)
    assert (result.would, result.reason) == (NO_NEW_RUN, "cooldown")
    assert re.fullmatch(r"run 1 has just ended; next run at 2026-03-01 12:\d\d:\d\d UTC", result.detail)
    assert (await preview(harness)).reason == "cooldown"
    harness.clock.advance(minutes=5)
    assert (await simulate_alerts(harness))[0].would is RunState.ADMITTED


async def test_simulated_resolution_starts_no_run(harness: EngineHarness) -> None:
    harness.files.fill("a")
    [result] = await simulate_alerts(harness, alert(status="resolved"))
    detail = "nothing in this delivery is firing, or it is a late duplicate"
    assert (result.would, result.detail) == (NO_NEW_RUN, detail)
    harness.files.empty_reason = "queue_paused"
    await harness.deliver()
    await harness.work()
    [result] = await simulate_alerts(harness, alert(status="resolved"))
    assert result.detail == "the episode ends: its alerts are resolved"


async def test_simulation_previews_every_episode_and_refuses_unknown_stacks(harness: EngineHarness) -> None:
    alerts = [alert(), alert(fingerprint="f2", target="spare"), alert(fingerprint="f3", stack="nobody")]
    result = {each.key.target: each for each in await simulate_alerts(harness, *alerts)}
    assert result["nobody/postgres/main"].reason == "unknown_target"
    assert "the inventory has no stack 'nobody'" in result["nobody/postgres/main"].detail
    assert {result[f"shop/postgres/{name}"].would for name in ("main", "spare")} == {RunState.NOTHING_TO_DO}


async def test_a_preview_begins_no_cooldown_and_takes_no_reservation(folder: Path) -> None:
    async with engine_harness(folder, inventory(max_runs_per_hour=1)) as harness:
        harness.files.fill("a")
        for _ in range(5):
            assert (await preview(harness)).would is RunState.ADMITTED
        await harness.deliver()
        await harness.work()
        assert (await harness.last_run()).state is RunState.SUCCEEDED


async def test_preview_of_a_queue_uses_its_own_labels(folder: Path) -> None:
    stacks = Inventory.model_validate(
        {"stacks": {"shop": {"redis": {"r": {"url": "redis://x"}}, "queues": {"jobs": {"redis": "r"}}}}}
    )
    async with engine_harness(folder, stacks) as harness:
        queues = harness.files.remediation(kind="queues")
        context = type(harness.context)(stacks, harness.context.ledger, harness.clock, {"clear_folder": queues}, None)
        result = await preview_episode(context, EpisodeKey("shop", "clear_folder", "shop/queues/jobs/emails"))
        assert result.would is RunState.NOTHING_TO_DO


async def test_runs_older_than_one_hour_do_not_count(harness: EngineHarness) -> None:
    harness.files.fill("a")
    await harness.deliver()
    await harness.work()
    harness.clock.at += timedelta(hours=2)
    result = await preview(harness)
    assert result.facts is not None
    assert result.facts.history.all_admissions == []


async def test_simulation_of_more_than_50_targets_is_refused(harness: EngineHarness) -> None:
    alerts = [alert(fingerprint=str(number), stack=f"s{number}") for number in range(51)]
    with pytest.raises(MalformedDelivery, match="concerns 51 targets; simulate at most 50"):
        await simulate_alerts(harness, *alerts)
