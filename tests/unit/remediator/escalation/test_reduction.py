"""A content that a service refuses is reduced and sent, and never holds up the next message."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.escalation.answer import Verdict, read_answer
from remediator.escalation.content import Content, Severity
from remediator.escalation.delivery import deliver
from remediator.ledger import outbox
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, engine_harness
from tests.unit.remediator.escalation.receiver import resolve, send_notifications
from tests.unit.remediator.escalation.services import Services, serve_mail, serve_services

MESSAGE = Content(
    "[shop] <title> 🔥",
    Severity.ERROR,
    facts=("FACT",),
    plan=("PLAN",),
    evidence=("EVIDENCE",),
    diagnostics=("DIAGNOSTICS",),
    key="1/x",
)
REFUSAL = {
    "slack": (400, "invalid_payload"),
    "telegram": (400, {"ok": False, "error_code": 400, "description": "Bad Request: can't parse entities"}),
    "discord": (400, {"code": 50035, "message": "Invalid Form Body"}),
    "pagerduty": (400, {"status": "invalid event"}),
    "ntfy": (413, {"code": 41303, "http": 413, "error": "request entity too large"}),
}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    with serve_services(monkeypatch) as served:
        yield served


def refusing(service: str, *words: str) -> Callable[[str, Any], tuple[int, Any] | None]:
    """Return what refuses a message with one of `words`."""
    return lambda _, payload: REFUSAL[service] if any(word in str(payload) for word in words) else None


@pytest.mark.parametrize("service", REFUSAL)
@pytest.mark.parametrize(
    ("refused", "kept"),
    [
        (["DIAGNOSTICS"], ["FACT", "PLAN", "EVIDENCE"]),
        (["DIAGNOSTICS", "EVIDENCE"], ["FACT"]),
        (["DIAGNOSTICS", "PLAN"], ["FACT"]),
        (["FACT"], ["shop", "The service refused the whole message."]),
    ],
)
def test_refused_content_is_reduced_until_it_is_accepted(
    services: Services, service: str, refused: list[str], kept: list[str]
) -> None:
    services.refuse = refusing(service, *refused)
    assert deliver(services.address(service), MESSAGE, set()).verdict is Verdict.ACCEPTED
    seen = services.only()
    assert all(word in seen.text for word in kept)
    assert not any(word in seen.text for word in refused)


@pytest.mark.parametrize(("service", "markup"), [("telegram", "<pre>"), ("discord", "```"), ("slack", "```")])
def test_refused_markup_is_left_out_before_the_text(services: Services, service: str, markup: str) -> None:
    services.refuse = refusing(service, markup)
    assert deliver(services.address(service), MESSAGE, set()).verdict is Verdict.ACCEPTED
    assert "FACT" in services.only().text


def test_mail_that_a_server_refuses_is_reduced() -> None:
    with serve_mail() as server:
        server.refuse = lambda mail: "554 5.7.1 looks like spam" if "EVIDENCE" in str(mail.get_body()) else None
        assert deliver(server.address(), MESSAGE, set()).verdict is Verdict.ACCEPTED
        [mail] = server.mails
        body = mail.get_body(("plain",))
        assert body is not None
        assert "FACT" in body.get_content()


def test_refusal_that_is_not_about_the_content_is_attempted_once(services: Services) -> None:
    for status in (401, 404, 429, 500, 503):
        services.requests = 0
        services.refuse = lambda *_, status=status: (status, {})
        assert deliver(services.address("ntfy"), MESSAGE, set()).verdict is Verdict.FAILED
        assert services.requests == 1


def test_recipient_that_refuses_repeats_no_message_to_the_others(services: Services) -> None:
    services.refuse = lambda _, payload: REFUSAL["ntfy"] if payload["topic"] == "b" else None
    accepted: set[int] = set()
    address = services.address("ntfy").replace("/topic", "/a/b/c")
    for _ in range(2):
        assert deliver(address, MESSAGE, accepted).verdict is Verdict.CONTENT_REFUSED
    assert sorted(seen.payload["topic"] for _, seen in services.messages) == ["a", "c"]


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (
            'Failed to send to Slack: error=200.\nResponse Details: {"ok":false,"error":"msg_too_long"}',
            "content refused",
        ),
        ('Failed to send to Slack: error=200.\nResponse Details: {"ok":false,"error":"invalid_auth"}', "failed"),
        ("Failed to send Telegram notification to 1: Bad Request: chat not found, error=400.", "failed"),
        ("Failed to send ntfy notification to topic 't': error=40014.", "content refused"),
        ("Socket Exception: (552, b'message too large')", "content refused"),
        ("Socket Exception: (535, b'bad password')", "failed"),
        ("Socket Exception: (451, b'try later')", "failed"),
        ("Socket Exception: {'a@example.com': (550, b'no such user')}", "failed"),
        ("A Connection error occurred posting to Slack.", "failed"),
        ("", "failed"),
    ],
)
def test_answer_is_read_from_what_apprise_logs(line: str, verdict: str) -> None:
    assert read_answer([line]).verdict.value == verdict


async def test_refused_message_holds_up_no_later_one_and_is_retried(folder: Path, services: Services) -> None:
    """The service refuses the alarm in any form, accepts the end, and later the alarm as well."""
    stack = {"postgres": {"main": {"dsn": "postgresql://db/shop"}}}
    stack["remediations"] = {"clear_folder": {"mode": "auto", "max_items": 1}}  # type: ignore[dict-item]
    contacts = {"oncall": {"url": services.address("telegram")}}
    inventory = Inventory.model_validate({"contacts": contacts, "stacks": {"shop": stack}})
    services.refuse = lambda _, payload: REFUSAL["telegram"] if "refused (max_items)" in payload["text"] else None
    async with engine_harness(folder, inventory) as harness:
        harness.files.fill("a", "b")
        await harness.deliver()
        await harness.work()
        await send_notifications(harness)
        await resolve(harness)
        await send_notifications(harness)
        assert "resolved" in services.only().text
        assert await unsent(harness) == 1, "the refused message is still counted"
        services.refuse = lambda *_: None
        harness.clock.advance(minutes=6)
        await send_notifications(harness)
        assert len(services.messages) == 2
        assert await unsent(harness) == 0


async def unsent(harness: EngineHarness) -> int:
    async with harness.context.ledger.read() as connection:
        return await outbox.count_unsent(connection)
