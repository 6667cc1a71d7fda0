"""Services that judge a message as Slack, Telegram, Discord, PagerDuty and ntfy do, and a mail server.

Each `judge_…` returns the status and body of the answer, and the message as a person would see it. Sources are the
services' own pages: Slack's "Formatting message text", Telegram's Bot API ("HTML style", sendMessage), Discord's
"Execute Webhook", PagerDuty's "Send an Alert Event", ntfy's "Publish as JSON" and its limits.
"""

import email
import html
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from apprise.plugins import pagerduty
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram

TELEGRAM_TAGS = {"b", "strong", "i", "em", "u", "s", "a", "code", "pre", "blockquote"}


@dataclass
class Seen:
    """What a person sees: the text without markup, what it mentions, and how urgent it is."""

    text: str = ""
    mentions: list[str] = field(default_factory=list)
    severity: str = ""
    payload: Any = None


Verdict = tuple[int, Any, Seen]


def visible(text: str) -> str:
    """Return the text without the invisible spaces that defuse a mention."""
    return text.replace("\u200b", "")


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def judge_slack(payload: Any) -> Verdict:
    [part] = payload["attachments"]
    if not part["text"] or len(part["title"]) + len(part["text"]) > 40_000:
        return 400, "invalid_payload", Seen()
    raw = f"{part['title']}\n{part['text']}"
    links = re.compile(r"<(https?://[^<>|]+)(?:\|[^<>]*)?>")
    mentions = re.findall(r"<[^>]*>?", links.sub("", raw)) + re.findall(r"@(?:here|channel|everyone)\b", raw)
    code = re.split(r"```\n?", part["text"])
    assert len(code) % 2 == 1, "a code block without an end formats the rest"
    text = html.unescape(links.sub(r"\1", raw).replace("```\n", "").replace("\n```", ""))
    return 200, "ok", Seen(visible(text), mentions, part["color"], payload)


class _TelegramParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.parts: list[str] = []
        self.loose: list[str] = []

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        if tag not in TELEGRAM_TAGS:
            raise ValueError(f'Unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise ValueError(f'Unexpected end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
        if not {"pre", "code", "a"} & set(self.open):
            self.loose.append(data)

    def handle_comment(self, data: str) -> None:
        raise ValueError("Unsupported start tag")

    handle_decl = handle_pi = unknown_decl = handle_comment


def judge_telegram(payload: Any) -> Verdict:
    parser = _TelegramParser()
    try:
        assert payload["parse_mode"] == "HTML"
        if re.search(r"<(?![a-z/])", payload["text"]):
            raise ValueError('Unsupported start tag ""')
        parser.feed(payload["text"])
        parser.close()
        if parser.open:
            raise ValueError(f'Can\'t find end tag corresponding to start tag "{parser.open[-1]}"')
    except ValueError as error:
        return (
            400,
            {"ok": False, "error_code": 400, "description": f"Bad Request: can't parse entities: {error}"},
            Seen(),
        )
    text = "".join(parser.parts)
    if not text.strip():
        return 400, {"ok": False, "error_code": 400, "description": "Bad Request: message text is empty"}, Seen()
    if units(text) > 4_096:
        return 400, {"ok": False, "error_code": 400, "description": "Bad Request: message is too long"}, Seen()
    mentions = re.findall(r"(?<!\w)@\w+", "".join(parser.loose))
    return 200, {"ok": True, "result": {}}, Seen(visible(text), mentions, "", payload)


def judge_discord(payload: Any) -> Verdict:
    content = payload.get("content", "")
    if not content or units(content) > 2_000:
        problem = {"content": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH"}]}}
        return 400, {"code": 50035, "message": "Invalid Form Body", "errors": problem}, Seen()
    mentions = re.findall(r"@everyone|@here|<@[!&]?\d+>|<#\d+>", content)
    code = re.split(r"```\n?", content)
    assert len(code) % 2 == 1, "a code block without an end formats the rest"
    outside = [re.sub(r"\\([\W_])", r"\1", part) for part in code[::2]]
    code[::2] = [outside[0].rstrip("\n").removeprefix("**").removesuffix("**"), *outside[1:]]
    return 200, {"id": "1"}, Seen(visible("\n".join(part.strip("\n") for part in code)), mentions, "", payload)


def judge_pagerduty(payload: Any) -> Verdict:
    def invalid(problem: str) -> Verdict:
        return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": [problem]}, Seen()

    if len(json.dumps(payload)) > 512 * 1_024:
        return 413, {"status": "payload too large"}, Seen()
    if not payload.get("routing_key") or len(payload.get("dedup_key", "")) > 255:
        return invalid("'routing_key' or 'dedup_key' is invalid")
    accepted = {"status": "success", "dedup_key": payload.get("dedup_key", "")}
    if payload["event_action"] in ("resolve", "acknowledge"):
        return (202, accepted, Seen("", [], "resolve", payload)) if payload["dedup_key"] else invalid("dedup_key")
    event = payload["payload"]
    if not event["summary"] or len(event["summary"]) > 1_024 or not event["source"]:
        return invalid("'payload.summary' is missing or too long")
    if event["severity"] not in ("critical", "error", "warning", "info"):
        return invalid("'payload.severity' is invalid")
    details = "\n".join(event.get("custom_details", {}).values())
    return 202, accepted, Seen(f"{event['summary']}\n{details}", [], event["severity"], payload)


def judge_ntfy(payload: Any) -> Verdict:
    if len(payload["message"].encode()) > 4_096:
        return 400, {"code": 40014, "http": 400, "error": "invalid request: attachments not allowed"}, Seen()
    return 200, {"id": "1"}, Seen(f"{payload.get('title', '')}\n{payload['message']}", [], "", payload)


def judge_mattermost(payload: Any) -> Verdict:
    mentions = re.findall(r"(?<!\w)@\w+", payload["text"])
    return 200, "ok", Seen(visible(payload["text"]), mentions, "", payload)


JUDGES: dict[str, Callable[[Any], Verdict]] = {
    "slack": judge_slack,
    "telegram": judge_telegram,
    "discord": judge_discord,
    "pagerduty": judge_pagerduty,
    "ntfy": judge_ntfy,
}


@dataclass
class Services:
    """The services on one port, each with its judge. `refuse` makes one refuse what it would accept."""

    port: int = 0
    messages: list[tuple[str, Seen]] = field(default_factory=list)
    refusals: list[Any] = field(default_factory=list)
    requests: int = 0
    refuse: Callable[[str, Any], tuple[int, Any] | None] = lambda _service, _payload: None

    def address(self, service: str) -> str:
        return {
            "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7",
            "telegram": "tgram://123456789:abcdefghijklmnopqrstuvwxyzABCDEFGH/4711",
            "discord": "discord://1234567890/secretdiscordtoken",
            "pagerduty": "pagerduty://routingkey@apikey",
            "ntfy": f"ntfy://127.0.0.1:{self.port}/topic",
        }[service]

    def answer(self, service: str, payload: Any) -> tuple[int, Any]:
        self.requests += 1
        refused = self.refuse(service, payload)
        status, body, seen = (*refused, Seen()) if refused else JUDGES.get(service, judge_mattermost)(payload)
        if status >= 300:
            self.refusals.append((status, body))
        else:
            self.messages.append((service, seen))
        return status, body

    def only(self) -> Seen:
        assert len(self.messages) == 1
        return self.messages[0][1]


@contextmanager
def serve_services(monkeypatch: Any) -> Iterator[Services]:
    """Serve all services, and make Apprise send there."""
    services = Services()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            service = self.path.split("/")[1] or "ntfy"
            if service == "ntfy":
                payload["priority"] = self.headers.get("X-Priority", "default")
            status, answer = services.answer(service, payload)
            body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    services.port = server.server_address[1]
    base = f"http://127.0.0.1:{services.port}"
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{base}/slack")
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"{base}/telegram/bot")
    monkeypatch.setattr(NotifyDiscord, "notify_url", f"{base}/discord")
    monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", f"{base}/pagerduty")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class MailServer:
    """A real SMTP server that keeps the mails, or refuses those whose text it does not like."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refuse: Callable[[EmailMessage], str | None] = lambda _mail: None

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        mail = email.message_from_bytes(envelope.content, policy=policy.default)  # type: ignore[arg-type]
        refusal = self.refuse(mail)
        if refusal is None:
            self.mails.append(mail)
        return refusal or "250 OK"

    def address(self, query: str = "") -> str:
        recipient = "to=oncall@example.com&from=runbookd@example.com"
        return f"mailto://127.0.0.1:{self.port}/?{recipient}{query}"


@contextmanager
def serve_mail() -> Iterator[MailServer]:
    server = MailServer()

    class _Controller(Controller):
        def _trigger_server(self) -> None:  # it would connect to the port asked for, which is 0
            server.port = self.server.sockets[0].getsockname()[1]
            self.port = server.port
            super()._trigger_server()

    controller = _Controller(server, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
