"""Messages arrive on each service as they were meant, whatever is in a label or in the evidence."""

import re
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from apprise.plugins import jira, opsgenie
from apprise.plugins.firehydrant import NotifyFireHydrant
from apprise.plugins.splunk import NotifySplunk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from remediator.escalation.answer import Verdict
from remediator.escalation.content import Content, Severity
from remediator.escalation.delivery import deliver
from tests.unit.remediator.escalation.services import (
    JUDGES,
    MailServer,
    Services,
    serve_mail,
    serve_services,
    visible,
)

HOSTILE = (
    "a <b>bold</b> <!here> @everyone @channel <@U123> <@123> <#C1> where id < ? & *x* _y_ ~z~ `q` ``` [l](http://e) 🔥"
)
LINK = "https://runbooks.example/shop?a=1&b=2#files"


def content(*lines: str, title: str = "[shop] clear_folder: refused", severity: Severity = Severity.WARNING) -> Content:
    return Content(
        title,
        severity,
        facts=lines,
        advice=("what next: runbookctl approve 7",),
        links=(("runbook", LINK), ("dashboard", "not configured")),
        plan=("plan: 1 found", f"  planned: {lines[0][:100] if lines else ''}"),
        evidence=("audit head: 1234",),
        diagnostics=("diagnostics at 12:00:", f"  query=SELECT 1 where id < ? {HOSTILE}"),
        more="runbookctl run 7",
        key="7/refused/max_items",
        incident="shop/clear_folder/shop/postgres/main/1",
    )


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    with serve_services(monkeypatch) as served:
        yield served


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with serve_mail() as served:
        yield served


def send(address: str, message: Content) -> None:
    answer = deliver(address, message, set())
    assert answer.verdict is Verdict.ACCEPTED, answer


@pytest.mark.parametrize("service", JUDGES)
def test_hostile_text_arrives_as_meant_and_mentions_nobody(services: Services, service: str) -> None:
    message = content(HOSTILE, title=f"[shop] {HOSTILE}")
    send(services.address(service), message)
    assert services.requests == 1, "nothing had to be reduced"
    seen = services.only()
    assert seen.mentions == []
    for line in (message.title, HOSTILE, "what next: runbookctl approve 7", "dashboard: not configured", LINK):
        assert line in seen.text, seen.text


TEXTS = st.text(st.sampled_from("<>&*_`~[]()@!#|\\:/ abc\n\u202e🔥👩‍🚀é\ud800") | st.characters(), max_size=120)


@pytest.mark.parametrize("service", JUDGES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(title=TEXTS, lines=st.lists(TEXTS, min_size=1, max_size=4))
@example(title="x" * 1_000_000, lines=["<" * 1_000_000, "🔥" * 1_000_000])
@example(title="`" * 500, lines=["```", "``````", "\\`", "|" * 3_000])
@example(title="\ud83d\ude00", lines=["\ud83d", "&amp;&lt;", "</pre>", "]]>", "<!--", "\x00\x1b[0m"])
def test_any_text_arrives_at_the_first_attempt(services: Services, service: str, title: str, lines: list[str]) -> None:
    services.messages.clear()
    services.refusals.clear()
    message = content(*lines, title=f"t {title}")
    send(services.address(service), message)
    assert services.refusals == []
    seen = services.only()
    assert seen.mentions == []
    assert visible(message.title)[:40].rstrip() in seen.text
    if max(map(len, lines)) < 200:
        for line in message.facts:
            assert visible(line).strip() in seen.text


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data


def parts_of(mail: EmailMessage) -> tuple[str, str]:
    """Return the text and the HTML of a mail, the latter as a reader sees it."""
    plain, rich = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert rich is not None
    parser = _Text()
    parser.feed(rich.get_content())
    return plain.get_content(), parser.text


def test_mail_shows_every_line_on_its_own(mail_server: MailServer) -> None:
    send(mail_server.address(), content(HOSTILE, "second line", title="[shop] <b>\n🔥"))
    [mail] = mail_server.mails
    assert mail["subject"] == "[warning] [shop] <b>\ufffd🔥"
    for text in parts_of(mail):
        lines = [line.strip() for line in text.splitlines()]
        for line in (HOSTILE, "second line", "what next: runbookctl approve 7", f"runbook: {LINK}", "audit head: 1234"):
            assert line in lines


def test_mail_address_with_format_text_gets_text(mail_server: MailServer) -> None:
    send(mail_server.address("&format=text"), content(HOSTILE))
    [mail] = mail_server.mails
    assert mail.get_content_type() == "text/plain"
    assert HOSTILE in mail.get_content().splitlines()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(title=TEXTS, line=TEXTS)
@example(title="x" * 1_000_000, line="<" * 1_000_000)
def test_any_text_arrives_by_mail(mail_server: MailServer, title: str, line: str) -> None:
    mail_server.mails.clear()
    message = content(line, title=f"t {title}")
    send(mail_server.address(), message)
    [mail] = mail_server.mails
    _, shown = parts_of(mail)
    assert message.facts[0] in shown
    assert " ".join(mail["subject"].split()).startswith(" ".join(f"[warning] {message.title}"[:60].split())[:50])


@pytest.mark.parametrize("severity", Severity)
def test_severity_follows_the_outcome(services: Services, mail_server: MailServer, severity: Severity) -> None:
    for address in (services.address("pagerduty"), services.address("ntfy"), mail_server.address()):
        send(address, content("x", severity=severity))
    seen = dict(services.messages)
    expected = {"ok": ("info", "low"), "info": ("info", "default"), "warning": ("warning", "high")}
    expected |= {"error": ("error", "high"), "critical": ("critical", "max")}
    assert (seen["pagerduty"].severity, seen["ntfy"].payload["priority"]) == expected[severity]
    assert mail_server.mails[0]["subject"].startswith(f"[{severity}] ")


def test_severity_in_the_address_is_kept(services: Services) -> None:
    send(services.address("pagerduty") + "?severity=info", content("x", severity=Severity.CRITICAL))
    assert services.only().severity == "info"


def test_pagerduty_incident_is_resolved_by_the_end_of_its_episode(services: Services) -> None:
    incident = "shop/clear_folder/shop/postgres/main/1"
    for message in (content("x"), Content("[shop] resolved", Severity.OK, ("over",), incident=incident, is_over=True)):
        send(services.address("pagerduty"), message)
    began, ended = (seen.payload for _, seen in services.messages)
    assert (began["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert began["dedup_key"] == ended["dedup_key"]


def test_credentials_are_never_in_a_message(services: Services, mail_server: MailServer) -> None:
    secrets = ("postgresql://app:hunter2@db/shop", "password=hunter2", '"token": "hunter2"', "Bearer hunter2")
    message = Content(
        f"failed at {secrets[0]}",
        Severity.ERROR,
        secrets,
        secrets[:1],
        (("runbook", "https://u:hunter2@x/"),),
        secrets,
    )
    for service in JUDGES:
        send(services.address(service), message)
    send(mail_server.address(), message)
    assert len(services.messages) == len(JUDGES)
    for _, seen in services.messages:
        assert "hunter2" not in str(seen.payload)
    assert not any("hunter2" in text for text in parts_of(mail_server.mails[0]))


def test_link_of_an_alert_hides_nothing_behind_its_name(services: Services) -> None:
    link = "https://evil.example/|safe> <!here>"
    send(services.address("slack"), Content("t", Severity.INFO, ("x",), links=(("runbook", link),)))
    seen = services.only()
    assert seen.mentions == []
    assert f"runbook: {link}" in seen.text


@pytest.mark.parametrize("service", [*JUDGES, "mail"])
def test_long_message_is_shortened_and_says_so(services: Services, mail_server: MailServer, service: str) -> None:
    message = content("first line", *(f"{number} {'<é🔥' * 500}" for number in range(58)))
    send(mail_server.address() if service == "mail" else services.address(service), message)
    assert services.refusals == []
    text = parts_of(mail_server.mails[0])[1] if service == "mail" else services.only().text
    assert "first line" in text
    if service != "pagerduty":  # its details have room for all of it
        assert re.search(r"… shortened; see: runbookctl run 7\s*$", text)


def test_other_service_gets_text_that_mentions_nobody(services: Services) -> None:
    """Mattermost takes Markdown, to which Apprise converts the text."""
    send(f"mmost://127.0.0.1:{services.port}/token", content(HOSTILE, title=f"[shop] {HOSTILE}"))
    shown = services.only().text
    assert services.only().mentions == []
    for line in (HOSTILE, "what next: runbookctl approve 7", LINK):
        assert line in re.sub(r"\\([\W_])", r"\1", shown)


@pytest.fixture
def alerts(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of what Opsgenie, Jira, Splunk On-Call and FireHydrant get."""
    base, payloads = f"http://127.0.0.1:{services.port}", list[Any]()
    monkeypatch.setitem(opsgenie.OPSGENIE_API_LOOKUP, "us", f"{base}/opsgenie")
    monkeypatch.setitem(jira.JIRA_API_LOOKUP, "us", f"{base}/jira")
    monkeypatch.setattr(NotifySplunk, "notify_url", f"{base}/splunk/{{apikey}}/{{routing_key}}")
    monkeypatch.setattr(NotifyFireHydrant, "notify_url", f"{base}/firehydrant/{{token}}")

    def keep(_service: str, payload: Any) -> tuple[int, Any]:
        payloads.append(payload)
        return 200, {"requestId": "1"}

    services.refuse = keep
    return payloads


@pytest.mark.parametrize("schema", ["opsgenie", "jira"])
def test_alert_service_gets_every_message_with_its_priority(alerts: list[Any], schema: str) -> None:
    for severity in Severity:
        send(f"{schema}://{'a' * 36}", content("x", severity=severity))
    assert [alert["priority"] for alert in alerts] == ["P5", "P5", "P3", "P2", "P1"]


@pytest.mark.parametrize(
    ("address", "key", "end"),
    [
        ("splunk://routing@apikey", "entity_id", ("message_type", "RECOVERY")),
        ("firehydrant://token", "idempotency_key", ("status", "CLOSED")),
    ],
)
def test_end_resolves_the_alert_of_its_own_episode_only(
    alerts: list[Any], address: str, key: str, end: tuple[str, str]
) -> None:
    begun = content("x", severity=Severity.ERROR)
    send(address, begun)
    send(address, replace(begun, incident="shop/clear_folder/shop/postgres/main/2"))
    send(address, content(title="[shop] resolved", severity=Severity.OK))
    first, other, last = alerts
    assert first[key] == last[key] != other[key]
    assert end in last.items()
