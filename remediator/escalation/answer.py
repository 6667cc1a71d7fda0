"""The answer of a service to a message, in our own words: its own may show the address."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

# The first three digits are the status of HTTP: ntfy adds two of its own.
_STATUS = re.compile(r"\berror=(\d{3})")
_SLACK_ERROR = re.compile(r'"error"\s*:\s*"([a-z_]+)"')  # of Slack's API, which answers HTTP 200
_SMTP_DATA = re.compile(r"Socket Exception: \((\d{3}), ")
_SMTP_RECIPIENT = re.compile(r"Socket Exception: \{.*?\((\d{3}), |was refused: (\d{3}) ", re.DOTALL)
_UNKNOWN_CHAT = re.compile(r"chat not found|chat_id is empty|PEER_ID_INVALID|message thread not found", re.IGNORECASE)
# Services answer 400 or 413 to a message that they cannot show. A filter on the way answers 403.
_CONTENT_STATUSES = frozenset({400, 403, 406, 411, 413, 414, 415, 422, 431})
_SLACK_CONTENT_ERRORS = frozenset(
    {
        *(
            "msg_too_long",
            "no_text",
            "invalid_blocks",
            "invalid_blocks_format",
            "msg_blocks_too_long",
            "invalid_payload",
        ),
        *("invalid_attachments", "too_many_attachments", "invalid_arguments", "invalid_json", "json_not_object"),
        *("attachment_payload_limit_exceeded", "invalid_arg_name", "invalid_array_arg", "invalid_charset"),
    }
)
_SLACK_ADDRESS_ERRORS = frozenset({"channel_not_found", "not_in_channel", "is_archived", "channel_is_archived"})
_SMTP_LOGIN = frozenset({530, 534, 535, 538})
_WORDS = {
    401: "it refused the credentials of its address",
    403: "it denied access, or a filter on the way refused the message",
    404: "it does not know the address",
    407: "a proxy on the way wants credentials",
    410: "its address no longer exists",
    429: "it takes no more messages for now",
}


class Verdict(Enum):
    """Whether the message was accepted, and if not, whether its content is the reason."""

    ACCEPTED = "accepted"
    CONTENT_REFUSED = "content refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """The answer of a service; `words` are for the operator."""

    verdict: Verdict
    words: str = ""


ACCEPTED = Answer(Verdict.ACCEPTED, "accepted")


def failed(words: str) -> Answer:
    """Return the answer that has nothing to do with the content."""
    return Answer(Verdict.FAILED, words)


def read_answer(lines: Sequence[str]) -> Answer:
    """Return the answer that Apprise logged with a failed message."""
    text = "\n".join(lines)
    if status := _STATUS.search(text):
        return _http_answer(int(status[1]), text)
    if code := _SMTP_DATA.search(text):
        return _smtp_answer(int(code[1]))
    if code := _SMTP_RECIPIENT.search(text):
        return failed(f"the mail server refused a recipient (SMTP {code[1] or code[2]})")
    if "onnection error" in text:
        return failed("it cannot be reached")
    return failed("it did not accept the message")


def _http_answer(status: int, text: str) -> Answer:
    if status == 200:
        return _slack_answer(text)
    words = f"{_WORDS.get(status, _general_words(status))} (HTTP {status})"
    if status not in _CONTENT_STATUSES:
        return failed(words)
    if _UNKNOWN_CHAT.search(text):
        return failed(f"it does not know the chat (HTTP {status})")
    return Answer(Verdict.CONTENT_REFUSED, words)


def _general_words(status: int) -> str:
    if status >= 500:
        return "it has a problem"
    return "it refused the message" if status >= 400 else "it did not accept the message"


def _slack_answer(text: str) -> Answer:
    error = match[1] if (match := _SLACK_ERROR.search(text)) else ""
    if error in _SLACK_CONTENT_ERRORS:
        return Answer(Verdict.CONTENT_REFUSED, "it refused the message")
    if error in _SLACK_ADDRESS_ERRORS:
        return failed("it cannot post to the channel: invite the bot, or correct the channel")
    if error in ("ratelimited", "rate_limited"):
        return failed(_WORDS[429])
    return failed("it refused the credentials of its address" if "auth" in error or "token" in error else "it refused")


def _smtp_answer(code: int) -> Answer:
    if code in _SMTP_LOGIN:
        return failed(f"the mail server refused the login (SMTP {code})")
    if code >= 500:
        return Answer(Verdict.CONTENT_REFUSED, f"the mail server refused the message (SMTP {code})")
    return failed(f"the mail server takes no messages for now (SMTP {code})")
