"""The formats of messages: how each escapes a text, keeps its lines, shows a link, and counts its length."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

_ZERO_WIDTH_SPACE = "\u200b"
# A name after @, also within a word if it is a group's; and `<!here>`, `<@U1>`, `<#C1>`.
_MENTION = re.compile(r"(?i)(?<!\w)@(?=\w)|@(?=(?:everyone|here|channel|all)\b)|<(?=[@#!&]|users/|!subteam)")
_DISCORD_MARKDOWN = re.compile(r"([\\*_~`|>\[\]()#<:])")


@dataclass(frozen=True)
class Markup:
    """One format. `block` encloses lines that must stay as they are."""

    escape: Callable[[str], str]
    measure: Callable[[str], int]
    link: Callable[[str, str], str] = "{}: {}".format
    block: tuple[str, str] = ("", "\n")


def defuse_mentions(text: str) -> str:
    """Return `text` with an invisible space in each mention, so that it notifies nobody."""
    return _MENTION.sub(lambda match: match[0] + _ZERO_WIDTH_SPACE, text)


def escape_slack(text: str) -> str:
    """Escape the three characters that make links and mentions in Slack."""
    return _break_fences(html.escape(defuse_mentions(text), quote=False))


def escape_telegram(text: str) -> str:
    """Escape for Telegram's HTML."""
    return html.escape(defuse_mentions(text), quote=False)


def escape_discord(text: str) -> str:
    """Escape for a code block of Discord, whose only markup is its end."""
    return _break_fences(defuse_mentions(text))


def escape_discord_markdown(text: str) -> str:
    """Escape for Discord outside of a code block."""
    return _DISCORD_MARKDOWN.sub(r"\\\1", defuse_mentions(text))


def _break_fences(text: str) -> str:
    return text.replace("``", f"`{_ZERO_WIDTH_SPACE}`{_ZERO_WIDTH_SPACE}")


def characters(text: str) -> int:
    """Count UTF-16 units, as Telegram does; other services count the same or less."""
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


def json_bytes(text: str) -> int:
    """Count bytes: those of the text, or half of its JSON with escapes, whose limit is twice as high."""
    return max(len(text.encode()), len(json.dumps(text)) // 2)


def _html_link(name: str, url: str) -> str:
    shown = html.escape(url)
    return f'{html.escape(name)}: <a href="{shown}">{shown}</a>'


TEXT = Markup(str, characters)
TEXT_WITHOUT_MENTIONS = Markup(defuse_mentions, characters)
NTFY_TEXT = Markup(str, json_bytes)
SLACK = Markup(
    escape_slack,
    characters,
    lambda name, url: f"{name}: <{html.escape(url, quote=False)}>",
    ("```\n", "\n```\n"),
)
SLACK_PLAIN = Markup(escape_slack, characters, lambda name, url: f"{name}: {html.escape(url, quote=False)}")
TELEGRAM = Markup(escape_telegram, characters, _html_link, ("<pre>", "</pre>\n"))
TELEGRAM_PLAIN = Markup(escape_telegram, characters, lambda name, url: f"{name}: {html.escape(url, quote=False)}")
DISCORD = Markup(escape_discord, characters, lambda name, url: f"{name}: <{url}>", ("```\n", "\n```\n"))
DISCORD_PLAIN = Markup(escape_discord_markdown, characters, lambda name, url: f"{name}: <{url}>")
MAIL = Markup(
    html.escape,
    characters,
    lambda name, url: f"<p>{_html_link(name, url)}</p>",
    ('<pre style="white-space: pre-wrap">', "</pre>\n"),
)
