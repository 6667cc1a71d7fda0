"""An acknowledged episode: its ladder stands still until the time is over or something changes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from remediator.escalation.acknowledge import acknowledge
from remediator.escalation.policy import _notify_step
from remediator.ledger import outbox, retention
from remediator.ledger.episodes import open_for
from remediator.ledger.outbox import Draft
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import NoSuchEpisode, OperatorRemoved, WrongState
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import EscalationStep
from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.escalation.receiver import (
    NotificationReceiver,
    harness_with_receiver,
    pass_time,
    resolve,
    send_notifications,
)

KEY = EpisodeKey("shop", "clear_folder", "shop/postgres/main")


async def rows(harness: EngineHarness, query: str) -> list[tuple[Any, ...]]:
    async with harness.context.ledger.read() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def acknowledged(harness: EngineHarness, operator: str = "mia", **options: Any) -> int:
    async with harness.context.ledger.read() as connection:
        episode = await open_for(connection, KEY)
    assert episode is not None
    await acknowledge(harness.context, episode.id, operator, **options)
    await send_notifications(harness)
    return episode.id


async def test_ladder_stands_still_and_the_contacts_learn_who_has_it(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await acknowledged(notified, note="restarting the primary")
    await pass_time(notified, hours=3)
    assert receiver.contacts() == ["oncall", "oncall"]
    _, title, message = receiver.messages[-1]
    assert title == "[shop] acknowledged by mia: clear_folder on shop/postgres/main"
    assert "note: restarting the primary" in message.splitlines()
    assert await rows(notified, "SELECT actor FROM audit WHERE event = 'acknowledged'") == [("mia",)]


async def test_first_message_names_the_command(notified: EngineHarness, receiver: NotificationReceiver) -> None:
    assert "if you have it in hand, stop the ladder: runbookctl ack 1" in receiver.messages[0][2].splitlines()


async def test_ladder_goes_on_after_the_time_and_does_not_count_it(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(notified, minutes=10)
    await acknowledged(notified, span=timedelta(hours=1))
    await pass_time(notified, minutes=59)
    receiver.messages.clear()
    await pass_time(notified, minutes=2)
    assert receiver.contacts() == ["oncall"]
    contact, title, message = receiver.messages[0]
    assert (contact, title) == ("oncall", "[shop] no longer acknowledged: clear_folder on shop/postgres/main")
    assert "its time is over. mia had acknowledged it at 2026-03-01 12:10:00 UTC. The ladder climbs again." in message
    await pass_time(notified, minutes=17)
    assert receiver.contacts() == ["oncall"]
    await pass_time(notified, minutes=5)
    assert receiver.contacts() == ["oncall", "leads"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fingerprint": "f2", "alertname": "DiskFull"}, "DiskFull began to fire"),
        ({"starts": "2026-03-01T12:20:00Z"}, "FolderFull fires again"),
        ({"priority": "P0"}, "its priority rose to P0"),
    ],
)
async def test_change_lets_the_ladder_climb_again(
    notified: EngineHarness, receiver: NotificationReceiver, change: dict[str, str], reason: str
) -> None:
    await acknowledged(notified)
    await pass_time(notified, minutes=20)
    await notified.deliver(**change)
    await notified.work()
    await send_notifications(notified)
    assert receiver.messages[-1][1].startswith("[shop] no longer acknowledged")
    assert f"{reason}. mia had acknowledged it" in receiver.messages[-1][2]
    await pass_time(notified, minutes=31)
    assert receiver.contacts()[-1] == "leads"


async def test_alert_that_resolves_or_repeats_is_no_change(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await notified.deliver(fingerprint="f2", alertname="DiskFull")
    await notified.work()
    await acknowledged(notified)
    await notified.deliver(fingerprint="f2", alertname="DiskFull", status="resolved")
    await pass_time(notified, minutes=31)
    assert receiver.contacts() == ["oncall", "oncall"]


async def test_other_episode_of_the_stack_climbs(folder: Path, receiver: NotificationReceiver) -> None:
    async with harness_with_receiver(folder, receiver) as harness:
        shop = harness.context.inventory.stacks["shop"]
        both = {**shop.postgres, "spare": shop.postgres["main"]}
        stacks = {"shop": shop.model_copy(update={"postgres": both})}
        harness.context.inventory = harness.context.inventory.model_copy(update={"stacks": stacks})
        harness.files.fill("a", "b")
        for target in ("main", "spare"):
            await harness.deliver(target=target, fingerprint=target)
        await harness.work()
        await send_notifications(harness)
        await acknowledged(harness)
        harness.clock.advance(minutes=31)
        for target in ("main", "spare"):
            await harness.deliver(target=target, fingerprint=target)
        await harness.work()
        await send_notifications(harness)
        assert [title for contact, title, _ in receiver.messages if contact == "leads"] == [
            "[shop] unresolved for 31m: clear_folder on shop/postgres/spare"
        ]


async def test_of_two_operators_at_once_the_second_learns_who_was_first(notified: EngineHarness) -> None:
    answers = await asyncio.gather(
        acknowledge(notified.context, 1, "mia", "on it"),
        acknowledge(notified.context, 1, "noah"),
        return_exceptions=True,
    )
    refused = [each for each in answers if isinstance(each, BaseException)]
    assert [type(each) for each in refused] == [WrongState]
    assert str(refused[0]).startswith("episode 1 was acknowledged by mia at 2026-03-01 12:00:00 UTC (on it)")
    assert await rows(notified, "SELECT operator FROM acknowledgement") == [("mia",)]


async def test_other_operator_takes_over_once_it_no_longer_holds(notified: EngineHarness) -> None:
    """Nothing has recorded the end yet: the transaction itself decides."""
    await acknowledge(notified.context, 1, "mia", span=timedelta(minutes=5))
    notified.clock.advance(minutes=5)
    await acknowledge(notified.context, 1, "noah")
    ends = await rows(notified, "SELECT operator, end_reason FROM acknowledgement ORDER BY id")
    assert ends == [("mia", "its time is over"), ("noah", None)]


async def test_renewal_is_neither_counted_nor_sent_again(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await acknowledged(notified)
    notified.clock.advance(hours=1)
    await acknowledged(notified, span=timedelta(hours=2))
    assert receiver.contacts() == ["oncall", "oncall"]
    assert await rows(notified, "SELECT sum(acknowledgements) FROM acknowledge_tally") == [(1,)]
    assert await rows(notified, "SELECT count(*) FROM acknowledgement WHERE ended_at IS NULL") == [(1,)]


async def test_step_that_was_queued_but_not_sent_is_dropped(notified: EngineHarness) -> None:
    async with notified.context.ledger.write() as connection:
        draft = Draft("late", "{}", "error")
        await outbox.enqueue(connection, 1, outbox.step_key(1, "second"), ["leads"], draft, notified.clock.now())
    await acknowledge(notified.context, 1, "mia")
    assert "late" not in await notified.notification_titles()


async def test_step_that_was_due_before_the_acknowledgement_is_not_queued_after_it(notified: EngineHarness) -> None:
    await acknowledge(notified.context, 1, "mia")
    before = await notified.notification_titles()
    await _notify_step(notified.context, 1, "second", EscalationStep(after=timedelta(0), contacts=("leads",)))
    assert await notified.notification_titles() == before


async def test_end_of_the_episode_ends_it_without_a_further_message(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await acknowledged(notified)
    await resolve(notified)
    await send_notifications(notified)
    await notified.work()
    await send_notifications(notified)
    assert [title for _, title, _ in receiver.messages if "acknowledged" in title] == [
        "[shop] acknowledged by mia: clear_folder on shop/postgres/main"
    ]
    assert await rows(notified, "SELECT end_reason FROM acknowledgement") == [("the episode has ended",)]
    with pytest.raises(WrongState, match="episode 1 ended at 2026-03-01"):
        await acknowledge(notified.context, 1, "mia")


async def test_alert_that_fires_again_after_the_end_is_a_new_episode_that_climbs(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await acknowledged(notified)
    await resolve(notified)
    await notified.deliver(starts="2026-03-01T12:01:00Z")
    await notified.work()
    notified.clock.advance(minutes=31)
    await notified.deliver(starts="2026-03-01T12:01:00Z")
    await notified.work()
    await send_notifications(notified)
    assert "leads" in receiver.contacts()


async def test_note_is_one_printable_line_without_credentials(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await acknowledged(notified, note="a\u202eb\n<!channel> https://u:hunter2@db " + "x" * 600)
    assert "hunter2" not in receiver.messages[-1][2]
    assert "\u202e" not in receiver.messages[-1][2]
    [(note,)] = await rows(notified, "SELECT note FROM acknowledgement")
    assert len(note) == 500


async def test_unknown_and_removed_are_refused(notified: EngineHarness) -> None:
    with pytest.raises(NoSuchEpisode):
        await acknowledge(notified.context, 99, "mia")
    async with notified.context.ledger.write():
        notified.context.removed_operators = frozenset({"mia"})
    with pytest.raises(OperatorRemoved):
        await acknowledge(notified.context, 1, "mia")
    assert await rows(notified, "SELECT count(*) FROM acknowledgement") == [(0,)]


async def test_acknowledgement_survives_a_crash_and_goes_with_its_episode(notified: EngineHarness) -> None:
    await acknowledge(notified.context, 1, "mia")
    await notified.cut_power()
    await resolve(notified)
    notified.clock.advance(days=500)
    async with notified.context.ledger.write() as connection:
        for table in ("outbox", "item", "breaker", "run"):
            await connection.execute(text(f"DELETE FROM {table}"))
    await retention.delete_expired(notified.context.ledger, notified.clock.now())
    assert await rows(notified, "SELECT count(*) FROM acknowledgement") == [(0,)]
    assert await rows(notified, "SELECT sum(acknowledgements) FROM acknowledge_tally") == [(1,)]


@pytest.fixture
async def outage(folder: Path, receiver: NotificationReceiver) -> AsyncIterator[EngineHarness]:
    """Yield an engine with the product's own remediations, and an alert of priority P0 that no remediation repairs."""
    async with harness_with_receiver(folder, receiver) as harness:
        shop = harness.context.inventory.stacks["shop"].model_copy(update={"remediations": {}})
        inventory = harness.context.inventory.model_copy(update={"stacks": {"shop": shop}})
        context = replace(harness.context, remediations=REMEDIATIONS, inventory=inventory)
        with_diagnostics = EngineHarness(context, harness.files, harness.clock)
        await fire_outage(with_diagnostics)
        assert [(contact, title) for contact, title, _ in receiver.messages] == [("oncall", "[shop] ApiDown fires")]
        yield with_diagnostics


async def fire_outage(harness: EngineHarness, name: str = "ApiDown", **span: float) -> None:
    harness.clock.advance(**span)
    await harness.deliver(alertname=name, fingerprint=name, remediation="collect_diagnostics", priority="P0")
    await harness.work()
    await send_notifications(harness)


async def test_alert_without_a_fix_climbs_the_ladder_until_it_is_acknowledged(
    outage: EngineHarness, receiver: NotificationReceiver
) -> None:
    await fire_outage(outage, minutes=31)
    assert receiver.contacts() == ["oncall", "leads"]
    await acknowledge(outage.context, 1, "mia")
    await fire_outage(outage, hours=2)
    assert "managers" not in receiver.contacts()


async def test_further_alert_of_an_acknowledged_outage_climbs_a_ladder_of_its_own(
    outage: EngineHarness, receiver: NotificationReceiver
) -> None:
    await acknowledge(outage.context, 1, "mia")
    await fire_outage(outage, "DatabaseDown", minutes=1)
    await fire_outage(outage, "DatabaseDown", minutes=31)
    assert [title for contact, title, _ in receiver.messages if contact == "leads"] == [
        "[shop] unresolved for 31m: collect_diagnostics on shop/alerts/DatabaseDown"
    ]
