"""Addresses of contacts: what is wrong with one, without showing any of it."""

import difflib
import re
from collections.abc import Sequence

import apprise
from apprise.manager_plugins import NotificationManager
from apprise.plugins.base import NotifyBase
from apprise.plugins.email import NotifyEmail
from apprise.plugins.ntfy import NotifyNtfy
from apprise.plugins.telegram import NotifyTelegram
from apprise.utils.parse import parse_urls

from remediator.escalation.apprise_log import captured_lines, silence
from runbookd.inventory import Secret, SecretError

silence()
_PLUGINS = NotificationManager()  # type: ignore[no-untyped-call]
_SCHEMA = re.compile(r"\s*([A-Za-z][A-Za-z0-9_+-]*)://")
# Apprise leaves out a recipient that it cannot read, and sends to the others.
_DROPPED = re.compile(r"(?:Dropped|Dropping|Ignored|Ignoring) (?!the Fluxer path)")
# Apprise loads these without a recipient, and then sends to no contact, or to the last writer to the bot.
_RECIPIENTS: Sequence[tuple[type[NotifyBase], str, str]] = (
    (NotifyTelegram, "targets", "it names no chat; add its number, as in tgram://TOKEN/CHAT"),
    (NotifyNtfy, "topics", "it names no usable topic; write it like ntfy://HOST/TOPIC"),
    (NotifyEmail, "targets", "it names no recipient; write it like mailto://HOST/oncall@example.com"),
)


class AddressError(ValueError):
    """The address cannot be used. The text shows nothing of it."""


def plugins_of(address: str) -> Sequence[NotifyBase]:
    """Return one plugin per service of `address`.

    Raises:
        AddressError: it cannot be used.
    """
    parts = parse_urls(address) or [address]  # type: ignore[no-untyped-call]
    plugins = [_plugin_of(each) for each in parts]
    for plugin in plugins:
        for kind, attribute, problem in _RECIPIENTS:
            if isinstance(plugin, kind) and not getattr(plugin, attribute):
                raise AddressError(problem)
    return plugins


def problem_of(address: Secret) -> str | None:
    """Return why a contact's address cannot be read or used, or None."""
    try:
        plugins_of(address.read())
    except (SecretError, AddressError) as error:
        return str(error)
    return None


def kind_of(address: str) -> str:
    """Return the schemas of `address`, such as `slack`; `unknown` if it cannot be used."""
    try:
        plugins = plugins_of(address)
    except AddressError:
        return "unknown"
    return ", ".join(dict.fromkeys(str(plugin.protocol or plugin.secure_protocol) for plugin in plugins))


def _plugin_of(address: str) -> NotifyBase:
    asset = apprise.AppriseAsset(async_mode=False, app_id="runbookd", app_desc="runbookd")
    with captured_lines() as lines:
        plugin = apprise.Apprise.instantiate(address, asset=asset)
    if not isinstance(plugin, NotifyBase):
        raise AddressError(_problem(address))
    if any(map(_DROPPED.match, lines)):
        raise AddressError("one of its recipients is not valid, and would get no message; correct or remove it")
    return plugin


def _problem(address: str) -> str:
    match = _SCHEMA.match(address)
    if match is None:
        return "it has no schema; write it as an Apprise address, such as slack://… or mailto://…"
    schema, schemas = match[1].lower(), _PLUGINS.schemas()  # type: ignore[no-untyped-call]
    if schema in ("http", "https"):
        return (
            "Apprise knows no service at this web address; for a webhook of your own, begin it with json:// or jsons://"
        )
    if schema not in schemas:
        close = difflib.get_close_matches(schema, schemas, n=1)
        return "Apprise has no service of its schema" + (f"; did you mean {close[0]}://?" if close else "")
    return f"a part of it is missing or wrong; write it like {_PLUGINS[schema].templates[0].format_map(_Parts(schema))}"


class _Parts(dict[str, str]):
    """The schema, and the name of every other part in capitals."""

    def __init__(self, schema: str) -> None:
        super().__init__(schema=schema)

    def __missing__(self, part: str) -> str:
        return part.upper()
