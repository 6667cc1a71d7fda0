"""Sends one message to one contact within a time limit, and notes how it went."""

import asyncio
from functools import partial

import structlog

from remediator.context import Context
from remediator.escalation.address import AddressError
from remediator.escalation.answer import Answer, Verdict, failed
from remediator.escalation.contact_threads import threads_of
from remediator.escalation.content import Content
from remediator.escalation.delivery import deliver
from runbookd.inventory import SecretError

SEND_SECONDS = 30.0  # less than outbox.IN_FLIGHT
log = structlog.get_logger(__name__)


async def send_to(context: Context, name: str, content: Content, accepted: set[int]) -> Answer:
    """Send `content` to a contact, within SEND_SECONDS.

    `accepted` collects the recipients that have it, but not those whose answer comes later: better twice than never.
    """
    answer = await _attempt(context, name, content, accepted)
    problem = None if answer.verdict is Verdict.ACCEPTED else answer.words
    context.contact_log.note(name, context.clock.now(), problem)
    if problem is None:
        log.info("escalation", contact=name, title=content.title)
    else:
        log.warning("escalation not sent", contact=name, title=content.title, problem=problem)
    return answer


async def _attempt(context: Context, name: str, content: Content, accepted: set[int]) -> Answer:
    contact = context.inventory.contacts.get(name)
    if contact is None:
        return failed("it is no longer in the inventory")
    try:
        accepted_now = set(accepted)
        work = partial(deliver, contact.url_secret().read(), content, accepted_now)
        async with asyncio.timeout(SEND_SECONDS):
            answer: Answer = await threads_of(name).call(work)
        accepted |= accepted_now
        return answer
    except AddressError as error:
        return failed(f"its address cannot be used: {error}")
    except (SecretError, TimeoutError) as error:
        return failed(str(error) or "it did not answer in time")
