"""Alerts about targets that the inventory does not have make one message, and delay no real incident."""

from remediator.engine.engine import PLAN_BATCH_SIZE
from runbookd.inventory import SecretStr
from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.escalation.receiver import NotificationReceiver, send_notifications
from tests.unit.remediator.payloads import alert, delivery


async def deliver_unknown(harness: EngineHarness, first: int, count: int) -> None:
    alerts = [alert(target=f"gone{number}", fingerprint=f"f{number}") for number in range(first, first + count)]
    await harness.context.ledger.accept(harness.clock.now(), delivery(alerts))


async def settle(harness: EngineHarness, rounds: int = 30) -> None:
    """Let the engine refuse what waits, and pass the time in which it waits for more."""
    await harness.work(rounds)
    harness.clock.advance(seconds=4)
    await harness.work(1)


async def test_a_thousand_unknown_targets_are_one_message(harness: EngineHarness) -> None:
    harness.files.fill("a")
    await deliver_unknown(harness, 0, 1_000)
    await settle(harness)
    runs = await harness.runs()
    assert {run.reason for run in runs} == {"unknown_target"}
    assert len(runs) == 1_000
    (message,) = await harness.notifications()
    assert message.title == "[shop] 1000 alerts name targets that the inventory does not have"
    assert "clear_folder on shop/postgres/gone0: stack shop has no postgres target 'gone0'" in message.body
    assert "… and 990 more" in message.body
    assert harness.files.open_count == 0


async def test_real_incident_is_handled_before_a_flood_of_unknown_targets(harness: EngineHarness) -> None:
    harness.files.fill("a")
    await deliver_unknown(harness, 0, 999)
    await harness.deliver()
    await harness.work(1)
    assert harness.files.touched == ["a"]
    assert [run.reason for run in await harness.runs()].count("unknown_target") == PLAN_BATCH_SIZE


async def test_unknown_target_is_refused_once_per_episode(harness: EngineHarness) -> None:
    for _ in range(3):
        await deliver_unknown(harness, 0, 1)
        await settle(harness, 2)
        harness.clock.advance(minutes=11)
    assert len(await harness.runs()) == 1
    assert len(await harness.notifications()) == 1


async def test_next_unknown_target_is_reported_after_the_interval(harness: EngineHarness) -> None:
    await deliver_unknown(harness, 0, 1)
    await settle(harness, 2)
    harness.clock.advance(seconds=1)
    await deliver_unknown(harness, 1, 2)
    await settle(harness, 2)
    assert len(await harness.notifications()) == 1
    harness.clock.advance(minutes=10)
    await harness.work(1)
    titles = await harness.notification_titles()
    assert titles[1] == "[shop] 2 alerts name targets that the inventory does not have"


async def test_message_is_sent_without_diagnostics(notified: EngineHarness, receiver: NotificationReceiver) -> None:
    shop = notified.context.inventory.stacks["shop"]
    dead = shop.postgres["main"].model_copy(update={"admin_dsn": SecretStr("postgresql://x@127.0.0.1:1/x")})
    stacks = {"shop": shop.model_copy(update={"postgres": {"main": dead}})}
    notified.context.inventory = notified.context.inventory.model_copy(update={"stacks": stacks})
    receiver.messages.clear()
    await deliver_unknown(notified, 0, 1)
    await settle(notified, 2)
    await send_notifications(notified)
    _, title, text = receiver.messages[-1]
    assert title == "[shop] 1 alert names a target that the inventory does not have"
    assert "diagnostics" not in text
