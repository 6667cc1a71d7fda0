"""A contact gets at most 20 messages in 10 minutes, then a summary, the worst first. Critical ones are sent at once."""

from pathlib import Path

from sqlalchemy import insert

from remediator.escalation.content import Content, Severity
from remediator.escalation.limit import MAX_MESSAGES, summary_of
from remediator.escalation.policy import contacts_for
from remediator.ledger import outbox
from remediator.ledger.outbox import step_key
from remediator.ledger.schema import episode
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.escalation.receiver import (
    NotificationReceiver,
    harness_with_receiver,
    send_notifications,
)

ONE_STEP = {"first": {"contacts": ["oncall"]}}


async def queue(harness: EngineHarness, number: int, *severities: Severity, contact: str = "oncall") -> None:
    """Queue messages about the first episode's neighbours, without their runs."""
    async with harness.context.ledger.write() as connection:
        for place, severity in enumerate(severities):
            content = Content(f"message {number + place} {severity}", severity, facts=("x",))
            key = step_key(number + place, "test")
            await outbox.enqueue(connection, 1, key, [contact], content.draft(), harness.clock.now())


async def queue_many(harness: EngineHarness, many: int, first: int = 0) -> None:
    """Queue a warning about each of many episodes."""
    now = harness.clock.now()
    times = dict.fromkeys(("opened_at", "firing_since", "delivered_at", "confirmed_at"), now)
    async with harness.context.ledger.write() as connection:
        for number in range(first, first + many):
            row = {"stack": "shop", "remediation": "clear_folder", "target": f"shop/postgres/t{number}", "alerts": {}}
            result = await connection.execute(insert(episode).values(**row, **times))
            content = Content(f"warning about t{number}", Severity.WARNING)
            (identifier,) = result.inserted_primary_key
            key = f"{identifier}/refused"
            contacts = contacts_for(harness.context.inventory, "shop", None)
            await outbox.enqueue(connection, identifier, key, contacts, content.draft(), now)


async def test_messages_over_the_limit_are_sent_as_one_summary(folder: Path, receiver: NotificationReceiver) -> None:
    async with harness_with_receiver(folder, receiver, ONE_STEP) as harness:
        await queue_many(harness, 60)
        for _ in range(5):
            harness.clock.advance(seconds=2)
            await send_notifications(harness)
        titles = [title for _, title, _ in receiver.messages]
        assert len(titles) == MAX_MESSAGES + 1
        assert titles[-1] == "40 more messages: 40 warning"
        assert "warning: warning about t59" in receiver.messages[-1][2]
        assert await unsent(harness) == 0


async def test_next_summary_waits_for_the_end_of_the_window(folder: Path, receiver: NotificationReceiver) -> None:
    async with harness_with_receiver(folder, receiver, ONE_STEP) as harness:
        await queue_many(harness, 30)
        for first in (30, 40):
            for _ in range(3):
                harness.clock.advance(seconds=2)
                await send_notifications(harness)
            await queue_many(harness, 10, first)
        await send_notifications(harness)
        assert len(receiver.messages) == MAX_MESSAGES + 1
        assert await unsent(harness) == 20
        harness.clock.advance(minutes=10)
        await send_notifications(harness)
        assert len(receiver.messages) == 2 * MAX_MESSAGES + 1
        assert await unsent(harness) == 0


async def test_critical_message_is_sent_at_once_beyond_the_limit(folder: Path, receiver: NotificationReceiver) -> None:
    async with harness_with_receiver(folder, receiver, ONE_STEP) as harness:
        await queue_many(harness, 25)
        for _ in range(3):
            await send_notifications(harness)
        receiver.messages.clear()
        await queue_many(harness, 2, 25)
        await queue(harness, 100, Severity.WARNING, Severity.CRITICAL)
        for _ in range(2):
            await send_notifications(harness)
        titles = [title for _, title, _ in receiver.messages]
        assert titles == ["message 100 warning", "message 101 critical"], "in the order of their episode"


async def test_limit_of_one_contact_holds_up_no_other(folder: Path, receiver: NotificationReceiver) -> None:
    both = {"first": {"contacts": ["oncall"]}, "second": {"after": "30m", "contacts": ["leads"]}}
    async with harness_with_receiver(folder, receiver, both) as harness:
        receiver.status = 503
        await queue_many(harness, 60)
        await send_notifications(harness)
        receiver.status = 200
        await queue(harness, 100, Severity.WARNING, contact="leads")
        await send_notifications(harness)
        assert sorted(receiver.contacts()) == ["leads", "oncall"], "a summary, while 20 messages wait for their retry"


async def test_dead_contact_is_tried_with_a_limited_number_of_messages(
    folder: Path, receiver: NotificationReceiver
) -> None:
    async with harness_with_receiver(folder, receiver, ONE_STEP) as harness:
        receiver.status = 503
        await queue_many(harness, 60)
        for _ in range(10):
            harness.clock.advance(seconds=1)
            await send_notifications(harness)
        receiver.status = 200
        harness.clock.advance(minutes=6)
        for _ in range(2):
            await send_notifications(harness)
        assert receiver.contacts() == ["oncall"] * (MAX_MESSAGES + 1)
        assert await unsent(harness) == 0


async def test_no_later_message_overtakes_an_unsent_summary(folder: Path, receiver: NotificationReceiver) -> None:
    async with harness_with_receiver(folder, receiver, ONE_STEP) as harness:
        await queue_many(harness, 30)
        await send_notifications(harness)
        receiver.status = 503
        await send_notifications(harness)
        await queue(harness, 100, Severity.CRITICAL)
        receiver.status = 200
        receiver.messages.clear()
        await send_notifications(harness)
        assert receiver.messages == []
        for _ in range(2):
            harness.clock.advance(seconds=2)
            await send_notifications(harness)
        assert [title for _, title, _ in receiver.messages] == ["10 more messages: 10 warning", "message 100 critical"]


def test_summary_begins_with_the_worst() -> None:
    contents = [Content(f"m{number}", severity) for number, severity in enumerate(Severity)] * 20
    summary = summary_of(Inventory.model_validate({"console": {"url": "https://runbookd.example"}}), contents)
    assert summary.title == "100 more messages: 20 critical, 20 error, 20 warning, 20 info, 20 ok"
    assert summary.severity is Severity.CRITICAL
    assert summary.links == (("runs", "https://runbookd.example/runs"),)
    assert [fact.split(":")[0] for fact in summary.facts[::20]] == ["critical", "error", "… and 60 more"]


async def unsent(harness: EngineHarness) -> int:
    async with harness.context.ledger.read() as connection:
        return await outbox.count_unsent(connection)
