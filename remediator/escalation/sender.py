"""Sends the messages in the outbox. Failed messages stay there and are retried."""

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
ROUNDS_PER_ESCALATION = 5  # steps are minutes apart, and querying them costs more than querying messages
SEND_SECONDS = 30.0  # less than outbox.IN_FLIGHT
THREADS = 20  # concurrent messages per contact
MAX_BODY = 16_000  # characters per message
MAX_PARTS = 4  # parts per message: Apprise waits 5.5 s between two parts on some services
log = structlog.get_logger(__name__)
logging.getLogger("apprise").setLevel(logging.WARNING)  # at info it logs each success twice


async def send_until(shutdown: ShutdownSignal, context: Context) -> None:
    """Send due messages until shutdown; a contact that does not answer delays no other."""
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
        log.error("cannot send messages: retrying", exc_info=not isinstance(error, LedgerUnavailable), error=str(error))


async def send_due(context: Context, attachments: Attachments) -> None:
    """Send the due messages.

    Each is marked only after its contact took it: better twice than never.
    """
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
    """Redirect the message of a removed contact to the immediate steps, if there are any."""
    async with context.ledger.write() as connection:
        episode, now = await episodes.get(connection, message.episode), context.clock.now()
        replacements = contacts_for(context.inventory, episode.stack, None)
        if replacements:
            await outbox.enqueue(connection, episode.id, message.key, replacements, message.title, message.body, now)
            await outbox.drop(connection, message.id)
            log.warning(
                "contact is not in the inventory: notifying others",
                contact=message.contact,
                instead=", ".join(replacements),
            )
    return bool(replacements)


async def _send(contacts: Mapping[str, Contact], message: Message, body: str) -> bool:
    contact = contacts.get(message.contact)
    problem = "it is no longer in the inventory" if contact is None else None
    try:
        if contact is not None and not await _notify(message.contact, contact, message.title, body):
            problem = "it rejected the message"
    except (SecretError, TimeoutError, ValueError) as error:
        problem = str(error) or "it did not answer in time"
    if problem is None:
        log.info("escalation", contact=message.contact, title=message.title)
    else:
        log.warning("escalation not sent", contact=message.contact, title=message.title, problem=problem)
    return problem is None


async def _notify(name: str, contact: Contact, title: str, body: str) -> bool:
    sender = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))  # stays in the calling thread
    if not sender.add(contact.url_secret().read()):
        raise ValueError("Apprise does not support its url; correct it under `contacts` in the inventory")
    for plugin in sender:
        # By default Apprise sends a message that is too long unsplit, and messengers refuse it at every retry.
        if "overflow_mode" not in vars(plugin):  # the contact's url does not set `overflow=`
            plugin.overflow_mode = apprise.OverflowMode.SPLIT
    async with asyncio.timeout(SEND_SECONDS):
        return bool(await _threads(name).call(partial(sender.notify, title=title, body=_truncate(body, sender))))


class _ContactThreads:
    """The threads of one contact.

    A service whose answer never ends must not block another contact's threads.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._free = Semaphore(THREADS)

    async def call(self, work: Callable[[], Any]) -> Any:
        """Start `work` at once or not at all.

        After waiting for a thread, its message could be out of date.

        Raises:
            ValueError: no thread is free.
        """
        if not self._free.acquire(blocking=False):
            raise ValueError("it is still busy with earlier messages")
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(future)


_threads = cache(_ContactThreads)  # by contact


def _truncate(body: str, sender: apprise.Apprise) -> str:
    """Cut `body` to MAX_PARTS messages.

    Each attempt sends all of them, and some services are slow.
    """
    limit = min(MAX_BODY, *(MAX_PARTS * plugin.body_maxlen for plugin in sender))
    return body if len(body) <= limit else f"{body[: limit - 1]}…"
