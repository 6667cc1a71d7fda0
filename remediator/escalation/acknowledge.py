"""An operator has an episode in hand: its ladder stands still until the time is over, or something changes.

A change is what the operator cannot have seen: another alert, one that fires again, or a higher priority. The contacts
that know of the episode learn of both.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context, LeaderContext
from remediator.escalation.content import Content, Severity
from remediator.escalation.message import acknowledge_command, incident_of
from remediator.escalation.policy import contacts_for
from remediator.ledger import acknowledgements, audit, episodes, outbox
from remediator.ledger.acknowledgements import Acknowledgement
from remediator.ledger.episodes import Episode
from remediator.model.clock import rfc3339
from remediator.model.errors import NoSuchEpisode, WrongState
from remediator.model.target import sanitize

MAX_NOTE = 500  # characters
MAX_SPAN = timedelta(days=31)
log = structlog.get_logger(__name__)


async def acknowledge(
    context: Context,
    identifier: int,
    operator: str,
    note: str = "",
    span: timedelta | None = None,
    seen_at: datetime | None = None,
) -> Acknowledgement:
    """Stop the ladder of an episode for `span`, or until it changes or ends.

    The operator who has it may renew it; of two operators at once, the second one learns who was first. A page that was
    made at `seen_at` does not show an alert that joined since, so it acknowledges none.

    Raises:
        NoSuchEpisode: no episode has this number.
        WrongState: it has ended, nothing fires, or another operator has it.
    """
    async with context.ledger.write() as connection:
        context.require_operator(operator)
        now = context.clock.now()
        episode = await _require_firing(connection, identifier)
        latest = (await acknowledgements.latest_of(connection, [identifier])).get(identifier)
        if seen_at is not None and episode.has_joined_since(seen_at):
            raise WrongState(f"another alert has joined episode {identifier} since this page was made; load it again")
        renewed = await _make_way(connection, episode, operator, now)
        since = renewed.since if renewed is not None else waiting_since(episode, latest, now)
        until, text = None if span is None else now + span, sanitize(note, MAX_NOTE)
        columns = {"operator": operator, "note": text, "since": since, "at": now, "until": until}
        current = await acknowledgements.insert_one(connection, episode, **columns)
        detail = {"episode": identifier, "note": text, "until": rfc3339(until)}
        await audit.append(connection, now, "acknowledged", actor=operator, detail=detail)
        await outbox.drop_unsent_steps(connection, identifier)
        if renewed is None:
            seconds = max((now - since).total_seconds(), 0.0)
            await acknowledgements.count(connection, episode.stack, episode.priority, seconds)
            await _notify(connection, context, episode, current)
    log.info("acknowledged", operator=operator, episode=identifier, stack=episode.stack, target=episode.target)
    return current


async def _make_way(
    connection: AsyncConnection, episode: Episode, operator: str, now: datetime
) -> Acknowledgement | None:
    """End the acknowledgement in force; return it if the same operator renews it."""
    former = await acknowledgements.open_of(connection, episode.id)
    if former is None:
        return None
    why_over = former.why_over(episode, now)
    if why_over is None and former.operator != operator:
        raise WrongState(_taken(former))
    await acknowledgements.end(connection, former.id, now, why_over or "renewed")
    return former if why_over is None else None


def waiting_since(episode: Episode, latest: Acknowledgement | None, now: datetime) -> datetime:
    """Return since when an episode waits for an operator: since its delivery, or its last acknowledgement's end."""
    if latest is None:
        return episode.delivered_at
    is_late = latest.until is not None and latest.until <= now
    return max(episode.delivered_at, latest.ended_at or (latest.until if is_late and latest.until else now))


async def end_lapsed(context: LeaderContext) -> None:
    """End the acknowledgements that no longer hold; if their episode goes on, its contacts learn why.

    Raises:
        LedgerUnavailable: the next round ends them.
    """
    async with context.ledger.read() as connection:
        lapsed = [
            each for each in await acknowledgements.all_open(connection) if await _why_over(connection, context, each)
        ]
    for each in lapsed:
        async with context.ledger.write() as connection:
            if (reason := await _why_over(connection, context, each)) is not None:
                await _end(connection, context, each, reason)


async def end_orphaned(connection: AsyncConnection, context: Context) -> None:
    """End the acknowledgements of operators who left: nobody has these episodes in hand."""
    for each in await acknowledgements.all_open(connection):
        if each.operator not in context.inventory.operators:
            await _end(connection, context, each, f"{each.operator} is no longer an operator")


async def _end(connection: AsyncConnection, context: Context, each: Acknowledgement, reason: str) -> None:
    now = context.clock.now()
    if not await acknowledgements.end(connection, each.id, now, reason):
        return
    detail = {"episode": each.episode, "operator": each.operator, "reason": reason}
    await audit.append(connection, now, "acknowledgement_ended", detail=detail)
    episode = await episodes.get(connection, each.episode)
    if episode.ended_at is None:
        await _notify(connection, context, episode, each, reason)


async def _why_over(connection: AsyncConnection, context: Context, each: Acknowledgement) -> str | None:
    return each.why_over(await episodes.get(connection, each.episode), context.clock.now())


async def _require_firing(connection: AsyncConnection, identifier: int) -> Episode:
    episode = await episodes.get_or_none(connection, identifier)
    if episode is None:
        raise NoSuchEpisode(f"there is no episode {identifier}; `runbookctl episodes --all` lists them")
    if episode.ended_at is not None:
        raise WrongState(f"episode {identifier} ended at {_utc(episode.ended_at)}; there is nothing to acknowledge")
    if not episode.has_alerts:
        raise WrongState(f"episode {identifier} has no alert: an operator's run opened it, and ends it")
    return episode


def _taken(former: Acknowledgement) -> str:
    note = f" ({former.note})" if former.note else ""
    until = f"until {_utc(former.until)}, or " if former.until is not None else ""
    begun = f"episode {former.episode} was acknowledged by {former.operator} at {_utc(former.at)}{note}"
    return f"{begun}; it holds {until}until it changes"


async def _notify(
    connection: AsyncConnection,
    context: Context,
    episode: Episode,
    current: Acknowledgement,
    why_over: str | None = None,
) -> None:
    """Queue the message to the contacts that know of the episode; without a message so far, there are none."""
    notifications = await outbox.notifications_of(connection, episode.id)
    if notifications is None:
        return
    contacts = contacts_for(context.inventory, episode.stack, notifications)
    message = _begun(episode, current) if why_over is None else _ended(episode, current, why_over)
    key = outbox.acknowledgement_key(current.id, "begun" if why_over is None else "ended")
    await outbox.enqueue(connection, episode.id, key, contacts, message.draft(), context.clock.now())


def _begun(episode: Episode, current: Acknowledgement) -> Content:
    until = f"until {_utc(current.until)}, or " if current.until is not None else ""
    facts = (f"The ladder stands still {until}until a new alert, a higher priority, or the alert fires again.",)
    return Content(
        f"[{episode.stack}] acknowledged by {current.operator}: {episode.remediation} on {episode.target}",
        Severity.INFO,
        facts=((f"note: {current.note}", *facts) if current.note else facts),
        more=f"runbookctl episodes {episode.id}",
        incident=incident_of(episode),
    )


def _ended(episode: Episode, current: Acknowledgement, why_over: str) -> Content:
    return Content(
        f"[{episode.stack}] no longer acknowledged: {episode.remediation} on {episode.target}",
        Severity.ERROR,
        facts=(f"{why_over}. {current.operator} had acknowledged it at {_utc(current.at)}. The ladder climbs again.",),
        advice=(f"if you have it in hand: {acknowledge_command(episode.id)}",),
        more=f"runbookctl episodes {episode.id}",
        incident=incident_of(episode),
    )


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
