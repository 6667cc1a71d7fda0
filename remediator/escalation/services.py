"""The services with a format of their own: how each shows a message, its limits, and its severity.

Apprise knows the addresses and the protocols. It sends these bodies as they are; those to other services it converts.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from apprise import NotifyFormat, NotifyType, OverflowMode
from apprise.plugins.base import NotifyBase
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.email import NotifyEmail
from apprise.plugins.firehydrant import NotifyFireHydrant
from apprise.plugins.jira import NotifyJira
from apprise.plugins.ntfy import NotifyNtfy
from apprise.plugins.opsgenie import NotifyOpsgenie
from apprise.plugins.pagerduty import NotifyPagerDuty
from apprise.plugins.slack import NotifySlack, SlackMode
from apprise.plugins.splunk import NotifySplunk
from apprise.plugins.telegram import NotifyTelegram

from remediator.escalation import markup
from remediator.escalation.content import Content, Severity
from remediator.escalation.rendering import render, shorten

MAX_BODY = 16_000  # characters per message, if a service takes more
MAX_TITLE = 200
_APPRISE_TYPES = {
    Severity.OK: NotifyType.SUCCESS,
    Severity.INFO: NotifyType.INFO,
    Severity.WARNING: NotifyType.WARNING,
    Severity.ERROR: NotifyType.FAILURE,
    Severity.CRITICAL: NotifyType.FAILURE,
}
_PAGERDUTY_SEVERITIES = {Severity.OK: "info"}  # the others have the same names
_NTFY_PRIORITIES = {Severity.OK: "low", Severity.INFO: "default", Severity.CRITICAL: "max"}  # the others: high
_ALERT_PRIORITIES = {  # of Opsgenie and Jira: P1 is the highest
    Severity.OK: 5,
    Severity.INFO: 5,
    Severity.WARNING: 3,
    Severity.ERROR: 2,
    Severity.CRITICAL: 1,
}
_NORMAL_PRIORITY = 3
# Programs read these: their texts stay as they are. The others may mention a group.
_MACHINES = frozenset({"json", "xml", "form"})


@dataclass(frozen=True)
class Rendered:
    """A message as one service gets it."""

    title: str
    body: str
    format: NotifyFormat
    severity: Severity
    incident: str = ""
    is_over: bool = False
    details: tuple[tuple[str, str], ...] = ()


Render = Callable[[Any, Content, bool], Rendered]
Send = Callable[[Any, Rendered], bool]


def render_for(plugin: NotifyBase, content: Content, plain: bool) -> Rendered:
    """Render `content` for the service of `plugin`; `plain` avoids its markup."""
    return _service_of(plugin)[0](plugin, content, plain)


def send_rendered(plugin: NotifyBase, message: Rendered) -> bool:
    """Send the message. Apprise logs the answer if it is not an acceptance."""
    plugin.request_rate_per_sec = 0  # one request per message; how many messages there are is limited elsewhere
    return bool(_service_of(plugin)[1](plugin, message))


def _rendered(content: Content, title: str, body: str, format: NotifyFormat) -> Rendered:
    return Rendered(title, body, format, content.severity, content.incident, content.is_over)


def _send_as_is(plugin: NotifyBase, message: Rendered) -> bool:
    return bool(
        plugin.send(
            body=message.body,
            title=message.title,
            notify_type=_APPRISE_TYPES[message.severity],
            body_format=message.format,
            body_passthrough=False,  # the body is already escaped
        )
    )


def _slack(plugin: NotifySlack, content: Content, plain: bool) -> Rendered:
    """Render as mrkdwn. With `blocks=yes` a block takes 3,000 characters, and its title 150."""
    if plugin.mode in (SlackMode.WORKFLOW, SlackMode.WORKFLOW_TRIGGER):
        body = render(content, markup.TEXT_WITHOUT_MENTIONS, MAX_BODY)
        return _rendered(content, markup.defuse_mentions(content.title), body, NotifyFormat.TEXT)
    limit, title_limit = (3_000, 150) if plugin.use_blocks else (MAX_BODY, MAX_TITLE)
    shape, format = (markup.SLACK_PLAIN, NotifyFormat.TEXT) if plain else (markup.SLACK, NotifyFormat.MARKDOWN)
    title = _cut(content.title, title_limit, lambda text: len(markup.escape_slack(text)))
    return _rendered(content, markup.defuse_mentions(title), render(content, shape, limit), format)


def _telegram(_plugin: NotifyTelegram, content: Content, plain: bool) -> Rendered:
    """Render as HTML of at most 4,096 UTF-16 units, tags included. Texts in <pre> mention nobody."""
    shape = markup.TELEGRAM_PLAIN if plain else markup.TELEGRAM
    title = shorten(content.title, shape, MAX_TITLE)
    head = f"{title}\n" if plain else f"<b>{title}</b>\n"
    body = head + render(content, shape, 4_096 - markup.characters(head))
    return _rendered(content, "", body, NotifyFormat.HTML)


def _discord(plugin: NotifyDiscord, content: Content, plain: bool) -> Rendered:
    """Render in code blocks. A message takes 2,000 characters with the pings of the address."""
    shape = markup.DISCORD_PLAIN if plain else markup.DISCORD
    title = shorten(content.title, markup.DISCORD_PLAIN, MAX_TITLE)
    head = f"{title}\n" if plain else f"**{title}**\n"
    limit = 2_000 - markup.characters(head) - sum(len(ping) + 30 for ping in plugin.ping)
    return Rendered("", head + render(content, shape, limit), NotifyFormat.TEXT, content.severity)


def _mail(plugin: NotifyEmail, content: Content, plain: bool) -> Rendered:
    """Render as HTML, beside which Apprise puts its text. The subject begins with the severity."""
    subject = f"[{content.severity}] {content.title}"[:MAX_TITLE]
    if plain or plugin.resolve_format(NotifyFormat.HTML) is NotifyFormat.TEXT:
        return _rendered(content, subject, render(content, markup.TEXT, MAX_BODY), NotifyFormat.TEXT)
    return _rendered(content, subject, render(content, markup.MAIL, 4 * MAX_BODY), NotifyFormat.HTML)


def _pagerduty(_plugin: NotifyPagerDuty, content: Content, _plain: bool) -> Rendered:
    """Render the title as summary, and the parts as details, which PagerDuty limits to 512 KB."""
    links = tuple(f"{name}: {url}" for name, url in content.links)
    parts = {
        "facts": content.facts,
        "what next": content.advice,
        "links": links,
        "plan": content.plan,
        "evidence": content.evidence,
        "diagnostics": content.diagnostics,
        "key": (content.key,) if content.key else (),
    }
    details = tuple((name, "\n".join(lines)[:MAX_BODY]) for name, lines in parts.items() if lines)
    incident = _incident_id(content.incident) if content.incident else content.key[:255]
    summary = content.title[:1_024]
    is_over = content.is_over and bool(incident)
    return Rendered("", summary, NotifyFormat.TEXT, content.severity, incident, is_over, details)


def _send_pagerduty(plugin: NotifyPagerDuty, message: Rendered) -> bool:
    """Send an event. All messages of an episode are one incident, which its end resolves."""
    plugin.severity = plugin.severity or _PAGERDUTY_SEVERITIES.get(message.severity, str(message.severity))
    plugin.dedup = plugin.dedup or message.incident
    plugin.details = {**plugin.details, **dict(message.details)}
    if message.is_over:
        plugin.action = "resolve"
    if plugin.source == "Apprise":
        plugin.source = "runbookd"
    return _send_as_is(plugin, message)


def _ntfy(_plugin: NotifyNtfy, content: Content, _plain: bool) -> Rendered:
    """Render as text. A longer message becomes a file, which many servers refuse."""
    title = _cut(content.title, 300, markup.json_bytes)
    return _rendered(content, title, render(content, markup.NTFY_TEXT, 3_500), NotifyFormat.TEXT)


def _send_ntfy(plugin: NotifyNtfy, message: Rendered) -> bool:
    if plugin.priority == "default":  # the address sets none
        plugin.priority = _NTFY_PRIORITIES.get(message.severity, "high")
    return _send_as_is(plugin, message)


def _other(plugin: NotifyBase, content: Content, _plain: bool) -> Rendered:
    """Render as text, which Apprise converts to the format of the service."""
    shape = markup.TEXT if _schemas(plugin) & _MACHINES else markup.TEXT_WITHOUT_MENTIONS
    title = shape.escape(content.title)[: plugin.title_maxlen or MAX_TITLE]
    room = plugin.body_maxlen - (0 if plugin.title_maxlen else len(title) + 2)  # else the title is put into the body
    return _rendered(content, title, render(content, shape, min(MAX_BODY, room)), NotifyFormat.TEXT)


def _send_other(plugin: NotifyBase, message: Rendered) -> bool:
    plugin.overflow_mode = OverflowMode.TRUNCATE  # a conversion may lengthen the text
    severity = _APPRISE_TYPES[message.severity]
    text = {"body": message.body or message.title, "title": message.title if message.body else ""}
    return bool(plugin.notify(**text, notify_type=severity, body_format=NotifyFormat.TEXT))


def _send_new_alert(plugin: NotifyOpsgenie | NotifyJira, message: Rendered) -> bool:
    """Send as an alert of its own.

    Apprise would add a message that is no warning to an alert that it no longer knows, and report a success.
    """
    if plugin.action == "map":
        plugin.action = "new"
    if plugin.priority == _NORMAL_PRIORITY:  # the address sets none
        plugin.priority = _ALERT_PRIORITIES[message.severity]
    return _send_other(plugin, message)


def _send_splunk(plugin: NotifySplunk, message: Rendered) -> bool:
    """Send an event of the episode's own incident: by default all are one, and any end would close it."""
    if message.incident and plugin.entity_id == f"{plugin.app_id}/{plugin.routing_key}":
        plugin.entity_id = _incident_id(message.incident)
    return _send_other(plugin, message)


def _send_firehydrant(plugin: NotifyFireHydrant, message: Rendered) -> bool:
    """Send to the episode's alert: by default the title tells alerts apart, and the end has another one."""
    if message.incident and plugin.action == "map":
        plugin.dedup = plugin.dedup or _incident_id(message.incident)
    return _send_other(plugin, message)


def _incident_id(incident: str) -> str:
    return sha256(incident.encode()).hexdigest()


def _schemas(plugin: NotifyBase) -> set[str]:
    return {str(each) for each in (plugin.protocol, plugin.secure_protocol) if isinstance(each, str)}


def _cut(text: str, limit: int, measure: Callable[[str], int]) -> str:
    """Return the longest beginning of `text` that measures at most `limit`."""
    return text[: bisect_right(range(len(text) + 1), limit, key=lambda end: measure(text[:end])) - 1]


_SERVICES: Mapping[type[NotifyBase], tuple[Render, Send]] = {
    NotifySlack: (_slack, _send_as_is),
    NotifyTelegram: (_telegram, _send_as_is),
    NotifyDiscord: (_discord, _send_as_is),
    NotifyEmail: (_mail, _send_as_is),
    NotifyPagerDuty: (_pagerduty, _send_pagerduty),
    NotifyNtfy: (_ntfy, _send_ntfy),
    NotifyOpsgenie: (_other, _send_new_alert),
    NotifyJira: (_other, _send_new_alert),
    NotifySplunk: (_other, _send_splunk),
    NotifyFireHydrant: (_other, _send_firehydrant),
}


def _service_of(plugin: NotifyBase) -> tuple[Render, Send]:
    return _SERVICES.get(type(plugin), (_other, _send_other))
