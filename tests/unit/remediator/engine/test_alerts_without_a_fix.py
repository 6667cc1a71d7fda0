"""Alerts of high priority that no remediation repairs: each notifies at once, with one reading of the stack."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.diagnostics import recent
from remediator.escalation.attachments import Attachments
from remediator.escalation.limit import due_messages
from remediator.model.remediation import Scope
from remediator.model.run_state import RunState
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import Inventory
from tests.inventory_data import data_of
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.polling import becomes

READS = "collect_diagnostics"
DOWN = "postgresql://nobody@127.0.0.1:1/none"


def with_stacks(*names: str, **settings: Any) -> Inventory:
    """Return the usual inventory, and further stacks with a database that refuses connections."""
    document = data_of(inventory())
    document["stacks"] |= {
        name: {"postgres": {"main": {"dsn": DOWN, "admin_dsn": DOWN}}, "remediations": settings} for name in names
    }
    document["contacts"] = {"oncall": {"url": "json://127.0.0.1:9"}}
    return Inventory.model_validate(document)


@asynccontextmanager
async def engine(folder: Path, stacks: Inventory) -> AsyncIterator[EngineHarness]:
    async with engine_harness(folder, stacks) as bench:
        bench.context = replace(bench.context, remediations={**bench.context.remediations, READS: REMEDIATIONS[READS]})
        bench.__post_init__()
        yield bench


async def deliver(bench: EngineHarness, name: str, stack: str = "crm", priority: str = "P0", **more: Any) -> None:
    target = more.pop("target", "main")
    labels = {"alertname": name, "stack": stack, "remediation": READS, "priority": priority, "target": target}
    await bench.deliver(fingerprint=f"{stack}{name}{target}", **labels, **more)


async def test_each_alert_name_of_a_stack_is_an_episode_with_a_message_of_its_own(folder: Path) -> None:
    async with engine(folder, with_stacks("crm")) as bench:
        await deliver(bench, "DatabaseDown")
        await deliver(bench, "RedisDown")
        await bench.work()
        assert sorted(await bench.notification_titles()) == ["[crm] DatabaseDown fires", "[crm] RedisDown fires"]
        runs = await bench.runs()
    assert [run.target for run in runs] == ["crm/alerts/DatabaseDown", "crm/alerts/RedisDown"]


async def test_first_message_is_queued_before_the_reading_and_waits_for_it_for_three_seconds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_scope: Scope) -> Mapping[str, Any]:
        await asyncio.sleep(60)
        return {}

    monkeypatch.setattr(recent, "read_part", hang)
    monkeypatch.setattr("remediator.escalation.attachments.FIRST_MESSAGE_SECONDS", 0.05)
    async with engine(folder, with_stacks("crm")) as bench:
        await deliver(bench, "DatabaseDown")
        await bench.engine.tick()
        await becomes(bench.notification_titles, ["[crm] DatabaseDown fires"])
        async with asyncio.timeout(60):
            async with bench.context.ledger.read() as connection:
                (message,) = await due_messages(connection, bench.clock.now())
            lines = await Attachments(bench.context).lines(message)
        assert lines == ("diagnostics: not read within 0 s; see runbookctl runs",)
        await bench.cut_power()


async def test_alert_that_fires_again_during_its_reading_is_read_after_it_and_is_no_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = asyncio.Event()

    async def read(_scope: Scope) -> Mapping[str, Any]:
        await may_end.wait()
        return {}

    async def states() -> list[str]:
        return [str(run.state) for run in await bench.runs()]

    monkeypatch.setattr(recent, "read_part", read)
    async with engine(folder, with_stacks("crm")) as bench:
        await deliver(bench, "DatabaseDown")
        await bench.engine.tick()
        await becomes(states, ["executing"])
        await deliver(bench, "DatabaseDown", status="resolved", ends="2026-03-01T12:00:00Z")
        await deliver(bench, "DatabaseDown", starts="2026-03-01T12:00:01Z")
        await bench.engine.tick()
        await asyncio.sleep(0)
        assert await states() == ["executing", "planned"]
        may_end.set()
        await bench.work()
        assert (await states(), bench.engine.fault) == (["succeeded", "succeeded"], None)


async def test_alerts_of_a_stack_share_one_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = []

    async def read(scope: Scope) -> Mapping[str, Any]:
        readings.append(str(scope.target))
        return {"sessions": 3}

    monkeypatch.setattr(recent, "read_part", read)
    async with engine(folder, with_stacks("crm")) as bench:
        for number in range(5):
            await deliver(bench, f"Alert{number}")
        await bench.work()
        async with bench.context.ledger.read() as connection:
            messages = await due_messages(connection, bench.clock.now())
        attached = [await Attachments(bench.context).lines(message) for message in messages]
    assert len(attached) == 5
    assert all("  sessions: 3" in lines for lines in attached)
    assert readings == ["crm/postgres/main"]


async def test_confirmations_read_and_notify_no_second_time(folder: Path) -> None:
    async with engine(folder, with_stacks("crm")) as bench:
        for _ in range(4):
            await deliver(bench, "DatabaseDown")
            await bench.work()
            bench.clock.advance(minutes=6)
        assert len(await bench.runs()) == 1
        assert await bench.notification_titles() == ["[crm] DatabaseDown fires"]
        await deliver(bench, "DatabaseDown", status="resolved", ends="2026-03-01T12:30:00Z")
        await bench.work()
        assert (await bench.notification_titles())[1:] == [
            "[crm] resolved, but no longer measured: collect_diagnostics on crm/alerts/DatabaseDown"
        ]


async def test_alert_that_joins_reads_again_but_its_confirmations_do_not(folder: Path) -> None:
    async with engine(folder, with_stacks("crm")) as bench:
        await deliver(bench, "DatabaseDown")
        await bench.work()
        for _ in range(3):
            bench.clock.advance(minutes=2)
            await deliver(bench, "DatabaseDown")
            await deliver(bench, "DatabaseDown", target="spare")
            await bench.work()
        runs = await bench.runs()
    assert [run.target for run in runs] == ["crm/alerts/DatabaseDown"] * 2


@pytest.mark.parametrize(("priority", "titles"), [("P2", []), ("P3", []), ("P1", ["[crm] SlowQueries fires"])])
async def test_lower_priority_opens_no_episode(folder: Path, priority: str, titles: list[str]) -> None:
    async with engine(folder, with_stacks("crm")) as bench:
        await deliver(bench, "SlowQueries", priority=priority)
        await bench.work()
        assert await bench.notification_titles() == titles


async def test_thirty_alerts_of_ten_stacks_are_no_storm_and_hold_up_no_fix(folder: Path) -> None:
    stacks = [f"s{number}" for number in range(10)]
    async with engine(folder, with_stacks(*stacks)) as bench:
        for stack in stacks:
            for name in ("DatabaseDown", "RedisDown", "HealthCheckFailing"):
                await deliver(bench, name, stack)
        await deliver(bench, "DatabaseDown", "shop")
        bench.files.fill("a")
        await bench.deliver()
        await bench.work(5)
        runs = await bench.runs()
        assert len(await bench.notification_titles()) == 31
    states = {run.state for run in runs if run.remediation == READS}
    assert states <= {RunState.SUCCEEDED, RunState.NOTHING_TO_DO}
    assert [run.state for run in runs if run.remediation == "clear_folder"] == [RunState.SUCCEEDED]


async def test_readings_count_against_no_limit_of_a_fix(folder: Path) -> None:
    async with engine(folder, with_stacks("crm")) as bench:
        for number in range(40):
            await deliver(bench, f"Alert{number}", "crm" if number % 2 else "shop")
        await bench.work(4)
        bench.files.fill("a")
        await bench.deliver()
        await bench.work()
        assert (await bench.last_run()).state is RunState.SUCCEEDED


async def test_pause_and_freeze_do_not_keep_it_from_reading_but_its_mode_does(folder: Path) -> None:
    async with engine(folder, with_stacks("crm", collect_diagnostics={"mode": "off"})) as bench:
        await deliver(bench, "DatabaseDown")
        await bench.work()
        assert [(run.state, run.reason) for run in await bench.runs()] == [(RunState.REFUSED, "mode_off")]
        assert await bench.notification_titles() == []
    async with engine(folder, with_stacks("crm")) as bench:
        bench.context = replace(bench.context, pause_file=folder / "missing" / "pause")
        bench.__post_init__()
        await deliver(bench, "RedisDown")
        await bench.work()
        assert await bench.notification_titles() == ["[crm] RedisDown fires"]
