"""The end of an episode: its message, and the steps that it drops."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from remediator.escalation.policy import escalate_due_steps
from remediator.ledger import outbox
from remediator.ledger.schema import outbox as table
from runbookd.inventory import SecretStr
from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.escalation.receiver import (
    NotificationReceiver,
    harness_with_receiver,
    pass_time,
    resolve,
    send_notifications,
)


async def test_resolution_sends_one_message_to_the_notified_contacts(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(notified, minutes=31)
    receiver.messages.clear()
    await resolve(notified)
    await send_notifications(notified)
    assert sorted(receiver.contacts()) == ["leads", "oncall"]
    _, title, text = receiver.messages[0]
    assert title == "[shop] resolved, but 2 items are left: clear_folder on shop/postgres/main"
    assert text.splitlines() == [
        "The alert has resolved. It lasted 32m.",
        "But 2 items are still as the alert found them, or so again. Check the target.",
        "last run: 2, refused max_items",
        "runbook: https://runbooks.example/shop#folder",
        f"key: {outbox.end_key(1)}",
    ]
    notified.clock.advance(hours=3)
    await send_notifications(notified)
    assert len(receiver.messages) == 2


async def test_unsent_step_is_dropped_when_the_episode_ends(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    notified.clock.advance(minutes=31)
    await notified.deliver()
    await notified.work()
    await escalate_due_steps(notified.context)
    await resolve(notified)
    await send_notifications(notified)
    assert receiver.contacts() == ["oncall", "oncall"]


async def test_end_message_waits_for_the_message_before_it(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    receiver.status = 503
    await pass_time(notified, minutes=31)
    await resolve(notified)
    receiver.status = 200
    receiver.messages.clear()
    await send_notifications(notified)  # the step is tried again a second later only, and the note does not overtake it
    assert receiver.contacts() == ["oncall"]
    for _ in range(2):
        notified.clock.advance(seconds=2)
        await send_notifications(notified)
    assert [title.split()[1] for contact, title, _ in receiver.messages if contact == "leads"] == [
        "unresolved",
        "resolved,",
    ]


async def test_episode_without_messages_ends_without_one(folder: Path, receiver: NotificationReceiver) -> None:
    async with harness_with_receiver(folder, receiver) as harness:
        await harness.deliver()
        await harness.work()
        await resolve(harness)
        async with harness.context.ledger.read() as connection:
            assert (await connection.execute(select(table.c.id))).all() == []


async def test_all_clear_says_so_when_the_target_cannot_be_read(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    """A server that stops answering has no idle sessions either, so its alert resolves."""
    notified.files.reachable = False
    await resolve(notified)
    await send_notifications(notified)
    assert "But the target cannot be read now, so nothing proves that it is well" in receiver.messages[-1][2]
    assert receiver.messages[-1][1] == "[shop] resolved, but no longer measured: clear_folder on shop/postgres/main"


async def test_all_clear_confirms_that_the_target_is_clean(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    for name in notified.files.names():
        (notified.files.folder / name).unlink()
    await resolve(notified)
    await send_notifications(notified)
    assert "The target was read again and is clean." in receiver.messages[-1][2]
    assert receiver.messages[-1][1] == "[shop] resolved: clear_folder on shop/postgres/main"


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        ("no_backup", "resolved, but not clean (no_backup)"),
        ("stopped_by_hand", "resolved, but not clean (stopped_by_hand)"),
        ("recently_started", "resolved"),
    ],
)
async def test_all_clear_is_none_while_the_remediation_leaves_something_alone(
    notified: EngineHarness, receiver: NotificationReceiver, reason: str, end: str
) -> None:
    """An empty plan may have a reason: there is no backup at all, or the service was stopped."""
    notified.files.empty_reason = reason
    await resolve(notified)
    await send_notifications(notified)
    _, title, text = receiver.messages[-1]
    assert title == f"[shop] {end}: clear_folder on shop/postgres/main"
    assert "is clean" not in text


async def test_all_clear_says_so_when_the_alert_fires_again(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    """The reading takes time, and a later all-clear would hide the new alert."""
    await notified.deliver(status="resolved", ends="2026-03-01T12:01:00Z")
    await notified.engine._process_deliveries()
    await notified.deliver(fingerprint="f2")
    await notified.work()
    await send_notifications(notified)
    assert "[shop] resolved, but fires again: clear_folder on shop/postgres/main" in {
        title for _, title, _ in receiver.messages
    }


async def test_all_clear_of_a_whole_stack_reads_its_parts(folder: Path, receiver: NotificationReceiver) -> None:
    """Its plan lists its parts whatever their state, so it proves nothing."""
    async with harness_with_receiver(folder, receiver) as harness:
        harness.context.remediations = {"clear_folder": harness.files.remediation("stack")}
        shop = harness.context.inventory.stacks["shop"]
        dead = shop.postgres["main"].model_copy(update={"admin_dsn": SecretStr("postgresql://x@127.0.0.1:1/x")})
        stacks = {"shop": shop.model_copy(update={"postgres": {"main": dead}})}
        harness.context.inventory = harness.context.inventory.model_copy(update={"stacks": stacks})
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
        await send_notifications(harness)
        await resolve(harness)
        await send_notifications(harness)
    assert receiver.messages[-1][1] == "[shop] resolved, but no longer measured: clear_folder on shop/stack/shop"
    assert "shop/postgres/main: cannot read" in receiver.messages[-1][2]


async def test_shutdown_does_not_wait_for_the_reading_of_an_all_clear(
    notified: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("remediator.runs.end_messages.read_plan", hang)
    await notified.deliver(status="resolved", ends="2026-03-01T12:01:00Z")
    await notified.engine.tick()
    await asyncio.sleep(0.1)
    notified.engine.request_shutdown()
    await asyncio.wait_for(notified.engine.wait_for_runs(), 20)


async def test_end_message_is_queued_after_a_restart(notified: EngineHarness, receiver: NotificationReceiver) -> None:
    await notified.deliver(status="resolved", ends="2026-03-01T12:01:00Z")
    await notified.engine._process_deliveries()  # it stops before the target is read
    await notified.cut_power()
    await notified.work(1)
    await send_notifications(notified)
    assert receiver.messages[-1][1].startswith("[shop] resolved")
