"""Sends the messages in the outbox. Failed messages stay there and are retried."""

import asyncio
from dataclasses import replace
from itertools import count

import structlog

from remediator.context import Context, LeaderContext
from remediator.escalation.acknowledge import end_lapsed
from remediator.escalation.address import problem_of
from remediator.escalation.answer import Answer, Verdict
from remediator.escalation.attachments import Attachments
from remediator.escalation.contact import send_to
from remediator.escalation.content import from_stored
from remediator.escalation.limit import contacts_to_summarize, due_messages, summarize
from remediator.escalation.policy import contacts_for, escalate_due_steps
from remediator.ledger import episodes, outbox
from remediator.ledger.outbox import Message
from remediator.model.errors import LedgerUnavailable
from remediator.shutdown import ShutdownSignal

ROUND_SECONDS = 1.0
LAST_SECONDS = 5.0  # for contacts to answer at a stop; the next leader waits for it
ROUNDS_PER_ESCALATION = 5  # steps are minutes apart, and querying them costs more than querying messages
log = structlog.get_logger(__name__)


async def send_until(shutdown: ShutdownSignal, context: LeaderContext) -> None:
    """Send due messages until shutdown; a contact that does not answer delays no other, and no stop for long."""
    attachments = Attachments(context)
    _warn_of_unusable_addresses(context)
    rounds: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as tasks:
        for number in count():
            if shutdown.is_set():
                break
            escalates = number % ROUNDS_PER_ESCALATION == 0
            rounds.add(tasks.create_task(_run_round(context, attachments, escalates=escalates)))
            await shutdown.sleep(ROUND_SECONDS)
            rounds = {each for each in rounds if not each.done()}
        if rounds:
            await asyncio.wait(rounds, timeout=LAST_SECONDS)
        for each in rounds:  # what a contact has not answered is sent again after the next start
            each.cancel()


def _warn_of_unusable_addresses(context: Context) -> None:
    for name, contact in context.inventory.contacts.items():
        if problem := problem_of(contact.url_secret()):
            log.warning("contact cannot be notified: correct its address", contact=name, problem=problem)


async def _run_round(context: LeaderContext, attachments: Attachments, *, escalates: bool) -> None:
    try:
        if escalates:
            await end_lapsed(context)
            await escalate_due_steps(context)
        await send_due(context, attachments)
    except Exception as error:
        log.error("cannot send messages: retrying", exc_info=not isinstance(error, LedgerUnavailable), error=str(error))


async def send_due(context: LeaderContext, attachments: Attachments) -> None:
    """Send the due messages.

    Each is marked only after its contact took it: better twice than never.
    """
    async with context.ledger.read() as connection:
        limited = await contacts_to_summarize(connection, context.clock.now())
    for contact in limited:
        await summarize(context, contact)
    async with context.ledger.read() as connection:
        messages = await due_messages(connection, context.clock.now())
    await asyncio.gather(*(_send_one(context, attachments, message) for message in messages))


async def _send_one(context: LeaderContext, attachments: Attachments, message: Message) -> None:
    async with context.ledger.write() as connection:
        if not await outbox.claim(connection, message, context.clock.now()):
            return
    if message.contact not in context.inventory.contacts and await _readdress(context, message):
        return
    if not context.ledger.is_trusted:  # the next leader sends it
        return
    content = replace(
        from_stored(message.title, message.body), key=message.key, diagnostics=await attachments.lines(message)
    )
    accepted = context.contact_log.recipients_of(message.id)
    await _settle(context, message, await send_to(context, message.contact, content, accepted))


async def _settle(context: LeaderContext, message: Message, answer: Answer) -> None:
    async with context.ledger.write() as connection:
        now = context.clock.now()
        if answer.verdict is Verdict.ACCEPTED:
            context.contact_log.forget(message.id)
            await outbox.mark_sent(connection, message.id, now)
        elif answer.verdict is Verdict.CONTENT_REFUSED:
            await outbox.mark_refused(connection, message.id, now)
        else:
            await outbox.schedule_retry(connection, message.id, message.attempts, now)


async def _readdress(context: LeaderContext, message: Message) -> bool:
    """Redirect the message of a removed contact to the immediate steps, if there are any.

    Reports, reminders and announcements are not redirected: the contacts that the inventory names get their own.
    """
    is_for_others = message.episode is not None or outbox.is_a_summary(message.key)
    async with context.ledger.write() as connection:
        episode = None if message.episode is None else await episodes.get(connection, message.episode)
        stack = "" if episode is None else episode.stack
        replacements = contacts_for(context.inventory, stack, None) if is_for_others else ()
        if replacements:
            draft, now = from_stored(message.title, message.body).draft(), context.clock.now()
            await outbox.enqueue(connection, message.episode, message.key, replacements, draft, now)
        elif is_for_others:
            return False
        await outbox.drop(connection, message.id)
    instead = ", ".join(replacements) or "nobody"
    log.warning("contact is not in the inventory", contact=message.contact, title=message.title, notified=instead)
    return True
