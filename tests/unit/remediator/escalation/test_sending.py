"""Messages are sent at least once, in the order of their episode, and not delayed by other contacts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from remediator.escalation.attachments import Attachments
from remediator.escalation.contact_threads import ContactThreads
from remediator.escalation.content import Content, Severity
from remediator.escalation.policy import escalate_due_steps
from remediator.escalation.sender import send_due, send_until
from remediator.ledger import outbox
from remediator.shutdown import ShutdownSignal
from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.escalation.receiver import (
    NotificationReceiver,
    harness_with_receiver,
    inventory_with_steps,
    send_notifications,
)
from tests.unit.remediator.polling import becomes


async def enqueue(harness: EngineHarness, title: str, episode: int = 1) -> None:
    """Queue a message about an episode to both contacts."""
    async with harness.context.ledger.write() as connection:
        draft = Content(title, Severity.WARNING).draft()
        await outbox.enqueue(connection, episode, title, ("oncall", "leads"), draft, harness.clock.now())


async def test_clock_set_back_delays_no_message(notified: EngineHarness, receiver: NotificationReceiver) -> None:
    notified.clock.advance(days=1)
    await enqueue(notified, "later")
    notified.clock.advance(days=-1)
    await send_notifications(notified)
    assert receiver.messages[-1][1] == "later"


async def test_message_is_sent_again_after_a_crash_before_it_is_marked(
    notified: EngineHarness, receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: Any) -> None:
        raise ConnectionAbortedError

    notified.clock.advance(minutes=31)
    await notified.deliver()
    await notified.work()
    await escalate_due_steps(notified.context)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "mark_sent", crash)
        with pytest.raises(ConnectionAbortedError):
            await send_due(notified.context, Attachments(notified.context))
    for _ in range(10):
        notified.clock.advance(seconds=30)
        await escalate_due_steps(notified.context)
        await send_due(notified.context, Attachments(notified.context))
    assert receiver.contacts() == ["oncall", "leads", "leads"]


async def test_concurrent_senders_send_a_message_once(notified: EngineHarness, receiver: NotificationReceiver) -> None:
    notified.clock.advance(minutes=31)
    await notified.deliver()
    await notified.work()
    await asyncio.gather(*(escalate_due_steps(notified.context) for _ in range(3)))
    await asyncio.gather(*(send_due(notified.context, Attachments(notified.context)) for _ in range(3)))
    assert receiver.contacts() == ["oncall", "leads"]


@asynccontextmanager
async def sending_to_a_hung_contact(
    harness: EngineHarness, receiver: NotificationReceiver
) -> AsyncIterator[tuple[ShutdownSignal, asyncio.Task[None]]]:
    """Queue a message to a contact that does not answer before the block ends; yield the sender and what stops it."""
    receiver.hangs = "oncall"

    async def has_called() -> bool:
        return "oncall" in receiver.called

    harness.files.fill("a", "b")
    await harness.deliver()
    await harness.work()
    stop = ShutdownSignal()
    sending = asyncio.create_task(send_until(stop, harness.context))
    await becomes(has_called, True)
    try:
        yield stop, sending
    finally:
        receiver.released.set()
        stop.set()
    await sending


async def test_contact_that_hangs_delays_no_other(
    folder: Path, receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediator.escalation.sender.ROUND_SECONDS", 0.05)
    monkeypatch.setattr("remediator.escalation.contact.SEND_SECONDS", 60.0)
    both = {"first": {"contacts": ["oncall"]}, "second": {"after": "30m", "contacts": ["leads"]}}
    async with (
        harness_with_receiver(folder, receiver, both) as harness,
        sending_to_a_hung_contact(harness, receiver),
        asyncio.timeout(60),
    ):
        harness.clock.advance(minutes=31)
        await harness.deliver()
        await harness.work()
        await receiver.arrived.wait()
        assert receiver.contacts() == ["leads"], "the other one still hangs"


async def test_contact_whose_answers_never_end_delays_no_other(
    folder: Path, receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All threads of the slow contact are busy for ever; the other one's messages arrive all the same."""
    monkeypatch.setattr("remediator.escalation.contact.SEND_SECONDS", 1.0)
    monkeypatch.setattr("remediator.escalation.contact_threads.THREADS", 4)
    monkeypatch.setattr("remediator.escalation.contact.threads_of", cache(ContactThreads))  # and no later test's
    receiver.trickles = "oncall"
    many = 12
    async with harness_with_receiver(folder, receiver, {"first": {"contacts": ["oncall", "leads"]}}) as harness:
        for number in range(many):
            await harness.deliver(target=f"gone{number}", fingerprint=f"f{number}")
        await harness.work()
        for number in range(many):
            await enqueue(harness, f"message {number}", episode=number + 1)

        async def titles_after_a_round(contact: str) -> int:
            harness.clock.advance(minutes=6)
            await send_notifications(harness)
            return receiver.titles(contact)

        await becomes(partial(titles_after_a_round, "leads"), many)
        assert receiver.titles("oncall") == 0
        receiver.is_over, receiver.trickles = True, ""
        await becomes(partial(titles_after_a_round, "oncall"), many)


async def test_contact_that_hangs_holds_up_no_stop_and_gets_its_message_from_the_next_leader(
    folder: Path, receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediator.escalation.sender.LAST_SECONDS", 0.01)
    monkeypatch.setattr("remediator.escalation.contact.SEND_SECONDS", 120.0)
    async with harness_with_receiver(folder, receiver) as harness:
        async with sending_to_a_hung_contact(harness, receiver) as (stop, sending), asyncio.timeout(60):
            stop.set()
            await sending
        async with harness.context.ledger.read() as connection:
            assert await outbox.count_unsent(connection) == 1


async def test_message_to_a_removed_contact_goes_to_the_immediate_steps(
    folder: Path, receiver: NotificationReceiver
) -> None:
    receiver.status = 503
    async with harness_with_receiver(folder, receiver) as harness:
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
        await send_notifications(harness)
        changed = inventory_with_steps(receiver, {"first": {"contacts": ["leads"]}})
        contacts = {name: contact for name, contact in changed.contacts.items() if name != "oncall"}
        context = replace(harness.context, inventory=changed.model_copy(update={"contacts": contacts}))
        later = EngineHarness(context, harness.files, harness.clock)
        receiver.status = 200
        for _ in range(3):
            later.clock.advance(seconds=2)
            await send_notifications(later)
        assert [each[:2] for each in receiver.messages] == [
            ("leads", "[shop] clear_folder on shop/postgres/main: refused (max_items)")
        ]
        async with later.context.ledger.read() as connection:
            assert await outbox.count_unsent(connection) == 0


@pytest.mark.parametrize(("key", "reached"), [("summary/1-2", ["leads"]), ("report/weekly/2026-W10", [])])
async def test_message_about_no_episode_to_a_removed_contact_does_not_stay_undelivered(
    folder: Path, receiver: NotificationReceiver, key: str, reached: list[str]
) -> None:
    """A report is dropped, as the contacts that the inventory names have their own."""
    async with harness_with_receiver(folder, receiver) as harness:
        async with harness.context.ledger.write() as connection:
            draft = Content("a title", Severity.INFO).draft()
            await outbox.enqueue(connection, None, key, ["former"], draft, harness.clock.now())
        contacts = {"leads": harness.context.inventory.contacts["leads"]}
        changed = harness.context.inventory.model_copy(update={"contacts": contacts})
        later = EngineHarness(replace(harness.context, inventory=changed), harness.files, harness.clock)
        for _ in range(2):
            await send_notifications(later)
        assert receiver.contacts() == reached
        async with later.context.ledger.read() as connection:
            assert await outbox.count_unsent(connection) == 0
