"""Sends what is in the outbox. A message that could not be sent stays, and is tried again."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import count
from threading import Semaphore
from typing import Any

import apprise
import structlog

from remediator.context import Context
from remediator.escalation.attachments import Attachments
from remediator.escalation.policy import contacts_for, escalate_due_steps
from remediator.ledger import episodes, outbox
from remediator.ledger.outbox import Message
from remediator.model.errors import LedgerUnavailable
from remediator.shutdown import ShutdownSignal
from runbookd.inventory import Contact, SecretError

ROUND_SECONDS = 1.0
ROUNDS_PER_ESCALATION = 5  # rounds: steps are minutes apart, and to look for them costs more than to look for messages
SEND_SECONDS = 30.0  # less than outbox.IN_FLIGHT
THREADS = 20  # messages on their way to one contact at a time
MAX_BODY = 16_000  # characters of one message
MAX_PARTS = 4  # in so many messages of a service at most; Apprise waits 5.5 s between two of some
log = structlog.get_logger(__name__)
logging.getLogger("apprise").setLevel(logging.WARNING)  # it tells of each message that all is well, twice


async def send_until(shutdown: ShutdownSignal, context: Context) -> None:
    """Send every due message, until it is time to stop; a contact that does not answer holds up no other."""
    attachments = Attachments(context)
    async with asyncio.TaskGroup() as tasks:
        for number in count():
            if shutdown.is_set():
                return
            tasks.create_task(_run_round(context, attachments, escalates=number % ROUNDS_PER_ESCALATION == 0))
            await shutdown.sleep(ROUND_SECONDS)


async def _run_round(context: Context, attachments: Attachments, *, escalates: bool) -> None:
    try:
        if escalates:
            await escalate_due_steps(context)
        await send_due(context, attachments)
    except Exception as error:
        log.error("no message can be sent now", exc_info=not isinstance(error, LedgerUnavailable), error=str(error))


async def send_due(context: Context, attachments: Attachments) -> None:
    """Send what is due now. A message is marked only after its contact has taken it: better twice than never."""
    async with context.ledger.read() as connection:
        messages = await outbox.due(connection, context.clock.now())
    await asyncio.gather(*(_send_one(context, attachments, message) for message in messages))


async def _send_one(context: Context, attachments: Attachments, message: Message) -> None:
    async with context.ledger.write() as connection:
        if not await outbox.claim(connection, message, context.clock.now()):
            return
    if message.contact not in context.inventory.contacts and await _readdress(context, message):
        return
    body = f"{message.body}\nkey: {message.key}{await attachments.text(message)}"
    is_sent = await _send(context.inventory.contacts, message, body)
    async with context.ledger.write() as connection:
        if is_sent:
            await outbox.mark_sent(connection, message.id, context.clock.now())
        else:
            await outbox.schedule_retry(connection, message.id, message.attempts, context.clock.now())


async def _readdress(context: Context, message: Message) -> bool:
    """Give the message of somebody who is in the inventory no more to those who are told at once, if there are any."""
    async with context.ledger.write() as connection:
        episode, now = await episodes.get(connection, message.episode), context.clock.now()
        replacements = contacts_for(context.inventory, episode.stack, None)
        if replacements:
            await outbox.enqueue(connection, episode.id, message.key, replacements, message.title, message.body, now)
            await outbox.drop(connection, message.id)
            log.warning("a contact is gone, others are told", contact=message.contact, instead=", ".join(replacements))
    return bool(replacements)


async def _send(contacts: Mapping[str, Contact], message: Message, body: str) -> bool:
    contact = contacts.get(message.contact)
    problem = "it is not in the inventory any more" if contact is None else None
    try:
        if contact is not None and not await _notify(message.contact, contact, message.title, body):
            problem = "it did not take the message"
    except (SecretError, TimeoutError, ValueError) as error:
        problem = str(error) or "it did not answer in time"
    if problem is None:
        log.info("escalation", contact=message.contact, title=message.title)
    else:
        log.warning("escalation not sent", contact=message.contact, title=message.title, problem=problem)
    return problem is None


async def _notify(name: str, contact: Contact, title: str, body: str) -> bool:
    sender = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))  # which stays in the thread it is called in
    if not sender.add(contact.url_secret().read()):
        raise ValueError("its url is no address that Apprise knows; see the inventory's `contacts`")
    for plugin in sender:
        # Apprise sends what is too long as it is unless told otherwise, and messengers refuse it, each time anew.
        if "overflow_mode" not in vars(plugin):  # the contact's url does not say `overflow=`
            plugin.overflow_mode = apprise.OverflowMode.SPLIT
    async with asyncio.timeout(SEND_SECONDS):
        return bool(await _threads(name).call(partial(sender.notify, title=title, body=_truncate(body, sender))))


class _ContactThreads:
    """Of one contact: a service whose answer never ends keeps its thread for as long, and must keep no other's."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._free = Semaphore(THREADS)

    async def call(self, work: Callable[[], Any]) -> Any:
        """Begin at once or not at all: what waited for a thread could be sent when nobody counts on it any more.

        Raises:
            ValueError: no thread is free.
        """
        if not self._free.acquire(blocking=False):
            raise ValueError("it has not answered the messages before")
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(future)


_threads = cache(_ContactThreads)  # by contact


def _truncate(body: str, sender: apprise.Apprise) -> str:
    """As much of `body` as fits into a few messages: each attempt sends all of them, and some services are slow."""
    limit = min(MAX_BODY, *(MAX_PARTS * plugin.body_maxlen for plugin in sender))
    return body if len(body) <= limit else f"{body[: limit - 1]}…"
