"""Recipients and timing of the escalation steps, with a real receiver and ledger, and a clock that tests set."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.config_check import config_findings
from tests.unit.remediator.conftest import START, EngineHarness
from tests.unit.remediator.escalation.receiver import (
    STEPS,
    NotificationReceiver,
    harness_with_receiver,
    inventory_with_steps,
    pass_time,
    send_notifications,
)
from tests.unit.remediator.payloads import alert


async def test_each_step_is_notified_once_when_it_is_due(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(notified, minutes=29)
    assert receiver.contacts() == ["oncall"]
    await pass_time(notified, minutes=2)
    assert receiver.contacts() == ["oncall", "leads"]
    await pass_time(notified, minutes=28)
    await pass_time(notified, minutes=2)
    assert receiver.contacts() == ["oncall", "leads", "managers"]
    await pass_time(notified, minutes=120)
    assert receiver.contacts() == ["oncall", "leads", "managers"]


async def test_step_message_has_duration_contacts_and_runs(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(notified, minutes=31)
    _, title, text = receiver.messages[-1]
    assert title == "[shop] unresolved for 31m: clear_folder on shop/postgres/main"
    for line in (
        "unresolved 31m after the first message; notified so far: oncall",
        "runs so far: 2",
        "  run 1 at 12:00:00: refused max_items",
        "why: max_items refuses: found 2, max_items is 1",
        "what next: Nothing was touched: there are more items than one run may touch. "
        "Find out why, then follow the runbook.",
        "plan: 2 found, 2 listed",
        "  planned: name=a size=1",
        "runbook: https://runbooks.example/shop#folder",
    ):
        assert line in text.splitlines()


async def test_all_due_steps_are_notified_after_a_downtime(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(notified, hours=5)
    assert sorted(receiver.contacts()) == ["leads", "managers", "oncall"]


async def test_later_outcome_is_sent_to_every_contact_notified_so_far(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(notified, minutes=31)
    receiver.messages.clear()
    notified.files.reachable = False
    await pass_time(notified, minutes=6)
    assert sorted(receiver.contacts()) == ["leads", "oncall"]
    assert "failed (target_unreachable)" in receiver.messages[0][1]


async def test_all_contacts_are_notified_at_once_without_steps(folder: Path, receiver: NotificationReceiver) -> None:
    async with harness_with_receiver(folder, receiver, {}) as harness:
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
        await send_notifications(harness)
        assert sorted(receiver.contacts()) == ["executives", "leads", "managers", "oncall"]


async def test_unconfirmed_episode_is_not_escalated(notified: EngineHarness, receiver: NotificationReceiver) -> None:
    notified.clock.advance(minutes=31)
    await send_notifications(notified)
    assert receiver.contacts() == ["oncall"]


async def test_alert_that_alertmanager_lists_is_escalated_without_deliveries(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    """Its deliveries are refused, say for a wrong token: that it does not try again."""
    receiver.alerts = [alert()]
    notified.clock.advance(minutes=31)
    await send_notifications(notified)
    assert receiver.contacts() == ["oncall", "leads"]


def api_down(since: timedelta, **labels: str) -> Any:
    started = (START + since).isoformat()
    return {"labels": {"alertname": "ApiDown", "stack": "shop", **labels}, "startsAt": started}


async def test_step_with_only_while_waits_until_its_alert_has_fired_long_enough(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    receiver.alerts = [api_down(timedelta(minutes=30)), api_down(-timedelta(hours=9), stack="other")]
    await pass_time(notified, hours=2, minutes=1)
    assert "executives" not in receiver.contacts()
    await pass_time(notified, minutes=30)
    assert receiver.contacts().count("executives") == 1
    await pass_time(notified, minutes=30)
    assert receiver.contacts().count("executives") == 1


async def test_step_waits_when_alertmanager_is_unreadable(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    receiver.alerts = "nonsense"  # type: ignore[assignment]
    await pass_time(notified, hours=3)
    assert sorted(receiver.contacts()) == ["leads", "managers", "oncall"]


async def test_clock_set_back_does_not_stop_the_escalation(
    notified: EngineHarness, receiver: NotificationReceiver
) -> None:
    """The clock was a day ahead at the first message, so the alert's own start counts."""
    notified.clock.advance(days=-1)
    await notified.deliver(starts=(notified.clock.now() - timedelta(minutes=29)).isoformat())
    await notified.work()
    await send_notifications(notified)
    assert receiver.contacts() == ["oncall"]
    await pass_time(notified, minutes=2)
    assert receiver.contacts() == ["oncall", "leads"]
    assert "unresolved 31m after the first message" in receiver.messages[-1][2]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ({"first": {"contacts": ["nobody"]}}, "there is no contact 'nobody'"),
        ({"first": {"contacts": []}}, "at least 1 item"),
        ({"first": {"after": "5m", "contacts": ["oncall"]}}, "no step notifies at once"),
        ({"first": {"only_while": ["X"], "contacts": ["oncall"]}}, "no step notifies at once"),
    ],
)
def test_unusable_steps_are_refused(steps: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        inventory_with_steps(NotificationReceiver(url="http://127.0.0.1:1"), steps)


def test_only_while_without_an_alertmanager_is_a_finding() -> None:
    what = inventory_with_steps(NotificationReceiver(url="http://127.0.0.1:1"), STEPS).model_copy(
        update={"alertmanager": None}
    )
    found = [".".join(each.path) for each in config_findings(what) if "alertmanager.url" in each.reason]
    assert found == ["stacks.shop.escalation.fourth.only_while"]
