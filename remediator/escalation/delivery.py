"""Delivers one message to one contact. A content that the service refuses is reduced, step by step."""

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import IntEnum

from apprise.plugins.base import NotifyBase

from remediator.escalation.address import plugins_of
from remediator.escalation.answer import ACCEPTED, Answer, Verdict, failed, read_answer
from remediator.escalation.apprise_log import captured_lines
from remediator.escalation.content import Content
from remediator.escalation.services import Rendered, render_for, send_rendered

_RECIPIENT_LISTS = ("targets", "channels", "topics")
_SPECIAL = re.compile(r"[^A-Za-z0-9 ._:/(),-]")


class Reduction(IntEnum):
    """How much is left out, from nothing to all but the title."""

    NOTHING = 0
    DIAGNOSTICS = 1
    EVIDENCE = 2
    MARKUP = 3
    ALL_BUT_TITLE = 4


def deliver(address: str, content: Content, accepted: set[int]) -> Answer:
    """Send `content` to each recipient of `address` that is not `accepted` yet, and add those that accept it.

    Raises:
        AddressError: the address cannot be used.
    """
    answers = []
    for number, recipient in enumerate(_recipients(plugins_of(address))):
        if number not in accepted:
            answers.append(_deliver_reduced(recipient, content))
            if answers[-1].verdict is Verdict.ACCEPTED:
                accepted.add(number)
    problems = [each for each in answers if each.verdict is not Verdict.ACCEPTED]
    failures = [each for each in problems if each.verdict is Verdict.FAILED]
    return next(iter([*failures, *problems]), ACCEPTED)


def reduced(content: Content, reduction: Reduction) -> Content:
    """Return `content` without what `reduction` leaves out."""
    if reduction is Reduction.ALL_BUT_TITLE:
        return _title_only(content)
    if reduction >= Reduction.DIAGNOSTICS:
        content = replace(content, diagnostics=())
    if reduction >= Reduction.EVIDENCE:
        content = replace(content, plan=(), evidence=())
    return content


def _title_only(content: Content) -> Content:
    """Return the title in letters, digits and a few signs that no service refuses."""
    title = _SPECIAL.sub("?", content.title)
    fact = f"The service refused the whole message. See: {content.more or 'runbookctl runs'}"
    return Content(
        title, content.severity, facts=(fact,), key=content.key, incident=content.incident, is_over=content.is_over
    )


def _recipients(plugins: Sequence[NotifyBase]) -> Iterator[NotifyBase]:
    """Yield one plugin per recipient, so that one that refuses does not repeat the message to the others."""
    for plugin in plugins:
        name = next((each for each in _RECIPIENT_LISTS if isinstance(getattr(plugin, each, None), list)), None)
        if name is None or len(getattr(plugin, name)) < 2:
            yield plugin
            continue
        for recipient in getattr(plugin, name):
            single = copy.copy(plugin)
            setattr(single, name, [recipient])
            yield single


def _deliver_reduced(plugin: NotifyBase, content: Content) -> Answer:
    answer = failed("nothing was sent")
    before: Rendered | None = None
    for reduction in Reduction:
        plain = reduction >= Reduction.MARKUP
        message = render_for(plugin, reduced(content, reduction), plain)
        if message == before:
            continue
        answer = _send(copy.copy(plugin), message)
        if answer.verdict is not Verdict.CONTENT_REFUSED:
            return answer
        before = message
    return answer


def _send(plugin: NotifyBase, message: Rendered) -> Answer:
    with captured_lines() as lines:
        try:
            return ACCEPTED if send_rendered(plugin, message) else read_answer(lines)
        except Exception:  # of any of a hundred plugins; its text may show the address
            return failed("Apprise could not send the message")
