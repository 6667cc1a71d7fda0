"""Who is told, and when: against a real receiver of messages, a real ledger, and a clock that tests turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from apprise.plugins.custom_json import NotifyJSON
from sqlalchemy import select

from remediator.clients.alertmanager import AlertmanagerReader
from remediator.config_check import config_findings
from remediator.escalation.attachments import Attachments
from remediator.escalation.policy import escalate_due_steps
from remediator.escalation.sender import MAX_BODY, MAX_PARTS, _notify, _threads, send_due, send_until
from remediator.ledger import outbox
from remediator.ledger.schema import outbox as table
from remediator.shutdown import ShutdownSignal
from runbookd.inventory import Contact, Inventory
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness
from tests.unit.remediator.payloads import alert

LADDER = {
    "first": {"contacts": ["oncall"]},
    "second": {"after": "30m", "contacts": ["leads"]},
    "third": {"after": "1h", "contacts": ["managers"]},
    "fourth": {"after": "2h", "contacts": ["executives"], "only_while": ["ApiDown"]},
}


@dataclass
class NotificationReceiver:
    """Takes Apprise's JSON messages, one path a contact; and plays Alertmanager's list of what fires."""

    messages: list[tuple[str, str, str]] = field(default_factory=list)
    status: int = 200
    hangs: str = ""
    trickles: str = ""
    over: bool = False
    alerts: list[Any] = field(default_factory=list)
    url: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.StreamResponse:
        contact = request.match_info["contact"]
        if contact == self.hangs:
            await asyncio.sleep(60)
        if contact == self.trickles:
            return await self._trickle(request)
        message = await request.json()
        if self.status == 200:
            self.messages.append((contact, message["title"], message["message"]))
            self.arrived.set()
        return web.Response(status=self.status)

    async def _trickle(self, request: web.Request) -> web.StreamResponse:
        """An answer that comes a byte at a time, so that no read of it takes long, and has no end before the test's."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not self.over:
            await answer.write(b".")
            await asyncio.sleep(0.1)
        return answer

    async def active(self, request: web.Request) -> web.Response:
        return web.json_response(self.alerts)

    def contacts(self) -> list[str]:
        return [contact for contact, _, _ in self.messages]

    def titles(self, contact: str) -> int:
        """How many different ones a contact was told."""
        return len({title for recipient, title, _ in self.messages if recipient == contact})


@pytest.fixture
async def receiver() -> AsyncIterator[NotificationReceiver]:
    made, app = NotificationReceiver(), web.Application()
    app.router.add_post("/people/{contact}", made.receive)
    app.router.add_get("/api/v2/alerts", made.active)
    async with TestServer(app, shutdown_timeout=0.1) as server:
        made.url = f"http://127.0.0.1:{server.port}"
        yield made


def with_ladder(receiver: NotificationReceiver, ladder: Any) -> Inventory:
    people = receiver.url.replace("http://", "json://")
    names = ("oncall", "leads", "managers", "executives")
    stack = {
        "runbook_url": "https://runbooks.example/shop",
        "postgres": {"main": {"dsn": "postgresql://db/shop"}},
        "escalation": ladder,
        "remediations": {"clear_shelf": {"mode": "auto", "max_items": 1}},
    }
    return Inventory.model_validate(
        {
            "alertmanager": {"url": receiver.url},
            "contacts": {name: {"url": f"{people}/people/{name}"} for name in names},
            "stacks": {"shop": stack},
        }
    )


@asynccontextmanager
async def harness_with_receiver(
    folder: Path, receiver: NotificationReceiver, ladder: Any = LADDER
) -> AsyncIterator[EngineHarness]:
    async with engine_harness(folder, with_ladder(receiver, ladder)) as bench:
        context = bench.context
        with_alertmanager = replace(context, alertmanager=AlertmanagerReader(receiver.url))
        yield EngineHarness(with_alertmanager, bench.shelf, bench.clock)


@pytest.fixture
async def told(folder: Path, receiver: NotificationReceiver) -> AsyncIterator[EngineHarness]:
    """A refusal has been told to the first of the ladder."""
    async with harness_with_receiver(folder, receiver) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        await send_notifications(bench)
        assert receiver.contacts() == ["oncall"]
        yield bench


async def send_notifications(bench: EngineHarness) -> None:
    await escalate_due_steps(bench.context)
    await send_due(bench.context, Attachments(bench.context))


async def pass_time(bench: EngineHarness, **span: float) -> None:
    """The alert goes on firing, and is delivered again."""
    bench.clock.advance(**span)
    await bench.deliver()
    await bench.work()
    await send_notifications(bench)


async def resolve(bench: EngineHarness) -> None:
    await bench.deliver(status="resolved")
    await bench.work()


async def test_each_step_is_told_in_its_time_and_once(told: EngineHarness, receiver: NotificationReceiver) -> None:
    await pass_time(told, minutes=29)
    assert receiver.contacts() == ["oncall"]
    await pass_time(told, minutes=2)
    assert receiver.contacts() == ["oncall", "leads"]
    await pass_time(told, minutes=28)
    await pass_time(told, minutes=2)
    assert receiver.contacts() == ["oncall", "leads", "managers"]
    await pass_time(told, minutes=120)
    assert receiver.contacts() == ["oncall", "leads", "managers"]


async def test_a_step_says_how_long_who_knows_and_what_was_tried(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(told, minutes=31)
    _, title, text = receiver.messages[-1]
    assert title == "[shop] unresolved for 31m: clear_shelf on shop/postgres/main"
    for line in (
        "unresolved 31m after the first message; notified so far: oncall",
        "runs so far: 2",
        "  run 1 at 12:00:00: refused max_items",
        "why: max_items refuses: found 2, max_items is 1",
        "what next: Nothing was touched: there are more items than one run may touch. "
        "Find out why, then follow the runbook.",
        "plan: 2 found, 2 listed",
        "  planned: name=a size=1",
        "runbook: https://runbooks.example/shop#shelf",
    ):
        assert line in text.splitlines()


async def test_a_remediator_that_was_down_tells_all_steps_that_are_due(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(told, hours=5)
    assert sorted(receiver.contacts()) == ["leads", "managers", "oncall"]


async def test_quiet_when_resolved_but_for_a_note_to_those_who_were_told(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(told, minutes=31)
    receiver.messages.clear()
    await resolve(told)
    await send_notifications(told)
    assert sorted(receiver.contacts()) == ["leads", "oncall"]
    _, title, text = receiver.messages[0]
    assert title == "[shop] resolved: clear_shelf on shop/postgres/main"
    assert text.splitlines() == [
        "The alert has resolved. It lasted 32m.",
        "last run: 2, refused max_items",
        f"key: {outbox.end_key(1)}",
    ]
    told.clock.advance(hours=3)
    await send_notifications(told)
    assert len(receiver.messages) == 2


async def test_a_step_that_nobody_has_heard_is_forgotten_at_the_end(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    told.clock.advance(minutes=31)
    await told.deliver()
    await told.work()
    await escalate_due_steps(told.context)
    await resolve(told)
    await send_notifications(told)
    assert receiver.contacts() == ["oncall", "oncall"]


async def test_the_note_waits_until_the_message_before_it_has_arrived(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    receiver.status = 503
    await pass_time(told, minutes=31)
    await resolve(told)
    receiver.status = 200
    receiver.messages.clear()
    await send_notifications(told)  # the step is tried again a second later only, and the note does not overtake it
    assert receiver.contacts() == ["oncall"]
    for _ in range(2):
        told.clock.advance(seconds=2)
        await send_notifications(told)
    assert [title.split()[1] for contact, title, _ in receiver.messages if contact == "leads"] == [
        "unresolved",
        "resolved:",
    ]


async def test_an_episode_that_nothing_confirms_climbs_no_further(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    told.clock.advance(minutes=31)
    await send_notifications(told)
    assert receiver.contacts() == ["oncall"]


async def test_what_alertmanager_says_to_fire_climbs_although_no_delivery_comes(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    """Its deliveries are refused, say for a wrong token: that it does not try again."""
    receiver.alerts = [alert()]
    told.clock.advance(minutes=31)
    await send_notifications(told)
    assert receiver.contacts() == ["oncall", "leads"]


async def test_a_clock_that_is_set_back_holds_no_message_back(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    told.clock.advance(days=1)
    await told.deliver(target="gone", fingerprint="f2")
    await told.work()
    told.clock.advance(days=-1)
    await send_notifications(told)
    assert receiver.messages[-1][1] == "[shop] clear_shelf on shop/postgres/gone: refused (unknown_target)"


async def test_a_clock_that_is_set_back_stops_no_ladder(told: EngineHarness, receiver: NotificationReceiver) -> None:
    """It was a day ahead when people were told. Since when the alert fires is not of our clock."""
    told.clock.advance(days=-1)
    await told.deliver(starts=(told.clock.now() - timedelta(minutes=29)).isoformat())
    await told.work()
    await send_notifications(told)
    assert receiver.contacts() == ["oncall"]
    await pass_time(told, minutes=2)
    assert receiver.contacts() == ["oncall", "leads"]
    assert "unresolved 31m after the first message" in receiver.messages[-1][2]


async def test_what_happens_later_is_told_to_all_who_know_by_then(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    await pass_time(told, minutes=31)
    receiver.messages.clear()
    told.shelf.reachable = False
    await pass_time(told, minutes=6)
    assert sorted(receiver.contacts()) == ["leads", "oncall"]
    assert "failed (target_unreachable)" in receiver.messages[0][1]


def api_down(since: timedelta, **labels: str) -> Any:
    started = (START + since).isoformat()
    return {"labels": {"alertname": "ApiDown", "stack": "shop", **labels}, "startsAt": started}


async def test_executives_are_told_only_after_two_hours_that_customers_feel(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    receiver.alerts = [api_down(timedelta(minutes=30)), api_down(-timedelta(hours=9), stack="other")]
    await pass_time(told, hours=2, minutes=1)
    assert "executives" not in receiver.contacts()
    await pass_time(told, minutes=30)
    assert receiver.contacts().count("executives") == 1
    await pass_time(told, minutes=30)
    assert receiver.contacts().count("executives") == 1


async def test_an_alertmanager_that_can_not_be_read_wakes_nobody_by_a_guess(
    told: EngineHarness, receiver: NotificationReceiver
) -> None:
    receiver.alerts = "nonsense"  # type: ignore[assignment]
    await pass_time(told, hours=3)
    assert sorted(receiver.contacts()) == ["leads", "managers", "oncall"]


async def test_a_crash_between_sending_and_noting_it_sends_once_more(
    told: EngineHarness, receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: Any) -> None:
        raise ConnectionAbortedError

    told.clock.advance(minutes=31)
    await told.deliver()
    await told.work()
    await escalate_due_steps(told.context)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "mark_sent", crash)
        with pytest.raises(ConnectionAbortedError):
            await send_due(told.context, Attachments(told.context))
    for _ in range(10):
        told.clock.advance(seconds=30)
        await escalate_due_steps(told.context)
        await send_due(told.context, Attachments(told.context))
    assert receiver.contacts() == ["oncall", "leads", "leads"]


async def test_two_senders_at_once_send_a_message_once(told: EngineHarness, receiver: NotificationReceiver) -> None:
    told.clock.advance(minutes=31)
    await told.deliver()
    await told.work()
    await asyncio.gather(*(escalate_due_steps(told.context) for _ in range(3)))
    await asyncio.gather(*(send_due(told.context, Attachments(told.context)) for _ in range(3)))
    assert receiver.contacts() == ["oncall", "leads"]


async def test_a_contact_that_hangs_holds_up_no_other(
    folder: Path, receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediator.escalation.sender.ROUND_SECONDS", 0.05)
    monkeypatch.setattr("remediator.escalation.sender.SEND_SECONDS", 2.0)
    receiver.hangs = "oncall"
    both = {"first": {"contacts": ["oncall"]}, "second": {"after": "30m", "contacts": ["leads"]}}
    async with harness_with_receiver(folder, receiver, both) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        stop = ShutdownSignal()
        sending = asyncio.create_task(send_until(stop, bench.context))
        await asyncio.sleep(0.2)
        bench.clock.advance(minutes=31)
        await bench.deliver()
        await bench.work()
        async with asyncio.timeout(1.5):
            await receiver.arrived.wait()
        stop.set()
        await sending


async def test_a_contact_whose_answers_never_end_holds_up_no_other(
    folder: Path, receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediator.escalation.sender.SEND_SECONDS", 1.0)
    monkeypatch.setattr("remediator.escalation.sender.THREADS", 4)
    _threads.cache_clear()
    receiver.trickles = "oncall"
    many = 12
    async with harness_with_receiver(folder, receiver, {"first": {"contacts": ["oncall", "leads"]}}) as bench:
        for number in range(many):
            await bench.deliver(target=f"gone{number}", fingerprint=f"f{number}")
        await bench.work()
        for _ in range(3):
            bench.clock.advance(seconds=3)
            await send_notifications(bench)
        receiver.over, receiver.trickles = True, ""
        assert receiver.titles("leads") == many
        for _ in range(3):
            bench.clock.advance(minutes=6)
            await send_notifications(bench)
        assert receiver.titles("oncall") == many, "and it is told as well, once it answers again"


async def test_what_waits_for_somebody_who_has_left_goes_to_those_who_are_told_at_once(
    folder: Path, receiver: NotificationReceiver
) -> None:
    receiver.status = 503
    async with harness_with_receiver(folder, receiver) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        await send_notifications(bench)
        left = with_ladder(receiver, {"first": {"contacts": ["leads"]}})
        contacts = {name: contact for name, contact in left.contacts.items() if name != "oncall"}
        context = replace(bench.context, inventory=left.model_copy(update={"contacts": contacts}))
        later = EngineHarness(context, bench.shelf, bench.clock)
        receiver.status = 200
        for _ in range(3):
            later.clock.advance(seconds=2)
            await send_notifications(later)
        assert [each[:2] for each in receiver.messages] == [
            ("leads", "[shop] clear_shelf on shop/postgres/main: refused (max_items)")
        ]
        async with later.context.ledger.read() as connection:
            assert await outbox.count_unsent(connection) == 0


async def test_without_a_ladder_all_contacts_are_told_at_once(folder: Path, receiver: NotificationReceiver) -> None:
    async with harness_with_receiver(folder, receiver, {}) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        await send_notifications(bench)
        assert sorted(receiver.contacts()) == ["executives", "leads", "managers", "oncall"]


async def test_what_nobody_was_told_of_ends_without_a_note(folder: Path, receiver: NotificationReceiver) -> None:
    async with harness_with_receiver(folder, receiver) as bench:
        await bench.deliver()
        await bench.work()
        await resolve(bench)
        async with bench.context.ledger.read() as connection:
            assert (await connection.execute(select(table.c.id))).all() == []


LONG = "\n".join(f"line {number}" for number in range(3_000))


async def notify(
    receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch, most: int, query: str = ""
) -> list[str]:
    """What a service that takes `most` characters a message gets of a long one."""
    monkeypatch.setattr(NotifyJSON, "body_maxlen", most)
    contact = Contact.model_validate({"url": f"{receiver.url.replace('http://', 'json://')}/people/oncall{query}"})
    assert await _notify("oncall", contact, "title", LONG)
    return [body for _, _, body in receiver.messages]


async def test_what_is_too_long_for_a_service_is_split(
    receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = await notify(receiver, monkeypatch, 4_096)
    assert max(map(len, bodies)) <= 4_096
    assert len(bodies) == 4
    told = "".join("".join(bodies).split())
    assert told == "".join(LONG[: MAX_BODY - 1].split()) + "…"


async def test_a_service_of_short_messages_gets_a_few_of_them(
    receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = await notify(receiver, monkeypatch, 160)
    assert "".join(bodies).startswith("line 0\nline 1\n")
    assert len(bodies) in (MAX_PARTS, MAX_PARTS + 1)  # a part that ends with a line may be shorter


async def test_a_contacts_own_overflow_is_kept(receiver: NotificationReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(await notify(receiver, monkeypatch, 4_096, "?overflow=truncate")) == 1


@pytest.mark.parametrize(
    ("ladder", "reason"),
    [
        ({"first": {"contacts": ["nobody"]}}, "there is no contact 'nobody'"),
        ({"first": {"contacts": []}}, "at least 1 item"),
        ({"first": {"after": "5m", "contacts": ["oncall"]}}, "no step notifies at once"),
        ({"first": {"only_while": ["X"], "contacts": ["oncall"]}}, "no step notifies at once"),
    ],
)
def test_a_ladder_that_can_not_work_is_refused(ladder: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        with_ladder(NotificationReceiver(url="http://127.0.0.1:1"), ladder)


def test_only_while_needs_an_alertmanager_to_ask() -> None:
    what = with_ladder(NotificationReceiver(url="http://127.0.0.1:1"), LADDER).model_copy(update={"alertmanager": None})
    found = [".".join(each.path) for each in config_findings(what) if "alertmanager.url" in each.reason]
    assert found == ["stacks.shop.escalation.fourth.only_while"]
