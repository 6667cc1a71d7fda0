"""The message that an episode has ended, with the state of its target now.

An alert also resolves when nothing is measured any more: a database that stops answering has no idle sessions either.
So the target is read before the message reports that the problem is over.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from remediator.context import Context, LeaderContext
from remediator.diagnostics.bundle import parts_of, read_all
from remediator.escalation.message import Finding, end_message
from remediator.ledger import episodes, outbox
from remediator.ledger.episodes import Episode
from remediator.model.logfmt import format_pairs
from remediator.model.remediation import Plan
from remediator.model.target import ResolvedTarget, UnresolvedTarget, resolve_target
from remediator.runs.planning import PlanFailed, read_plan
from runbookd.inventory import Mode

MAX_AGE = timedelta(hours=1)  # of an end, beyond which a message would only confuse
MAX_CONCURRENT_READS = 5
MAX_SEEN = 500  # characters of what the reading found
CLEAN = Finding("The target was read again and is clean.", is_clean=True)
# Reasons of an empty plan that say nothing about what the alert found. Every other one says what is wrong.
_NEUTRAL_REASONS = frozenset({"backup_running", "recently_started", "at_the_maximum", "at_the_minimum"})


async def notify_ends(context: LeaderContext) -> None:
    """Read the targets of episodes that have ended, and queue the messages to the contacts that know of them."""
    now = context.clock.now()
    async with context.ledger.read() as connection:
        ended = await outbox.ended_without_message(connection, now - MAX_AGE)
    limit = asyncio.Semaphore(MAX_CONCURRENT_READS)
    await asyncio.gather(*(_notify_end(context, episode, limit) for episode in ended))


async def _notify_end(context: LeaderContext, episode: Episode, limit: asyncio.Semaphore) -> None:
    async with limit:
        finding = await _read_target(context, episode)
    async with context.ledger.write() as connection:
        notifications = await outbox.notifications_of(connection, episode.id)
        if notifications is None:
            return
        if await episodes.open_for(connection, episode.key) is not None:
            finding = Finding("But it fires again; further messages follow.", is_clean=False, headline="fires again")
        now, contacts = context.clock.now(), sorted(notifications.contacts)
        message = await end_message(connection, context, episode, episode.end_reason or "", finding)
        await outbox.enqueue(connection, episode.id, outbox.end_key(episode.id), contacts, message.draft(), now)


async def _read_target(context: Context, episode: Episode) -> Finding:
    """Return in one sentence what the reading that would make a plan finds now."""
    match resolve_target(context.inventory, context.remediations, episode.key):
        case UnresolvedTarget():
            return _unread("the inventory does not have it")
        case ResolvedTarget(settings=settings) if settings.mode is Mode.OFF:
            return _unread("its mode is off")
        case ResolvedTarget(remediation=remediation) if remediation.kind == "stack" and context.simulated is not None:
            return _unread("a simulation reads no server")
        case ResolvedTarget(remediation=remediation) as target if remediation.kind == "stack":
            return await _read_stack(target)
        case target:
            return _judge(await read_plan(context, target, "end"))


def _judge(plan: Plan | PlanFailed) -> Finding:
    match plan:
        case PlanFailed(detail):
            return _unreadable(detail)
        case Plan(finds_faults=False):
            return _unread("nothing tells its state")
        case _ if plan.found:
            items = "1 item is" if plan.found == 1 else f"{plan.found} items are"
            text = f"But {items} still as the alert found them, or so again. Check the target."
            return Finding(text, is_clean=False, headline=f"{items} left")
        case Plan(empty_reason=""):
            return CLEAN
        case Plan(empty_reason=reason) if reason in _NEUTRAL_REASONS:
            return _unread(f"its reading ended with {reason}")
        case Plan(empty_reason=reason, evidence=evidence):
            return _left_alone(reason, evidence)


async def _read_stack(target: ResolvedTarget) -> Finding:
    """Read every part: the plan for a whole stack lists its parts, whatever their state."""
    scope = target.scope("end")
    scopes = [replace(scope, target=part) for part in parts_of(target.name.stack, target.stack, "")]
    errors = [f"{part}: {value}" for part, value in (await read_all(scopes)).items() if isinstance(value, str)]
    return _unreadable("; ".join(errors)) if errors else CLEAN


def _unread(reason: str) -> Finding:
    return Finding(f"The target was not read again: {reason}. Only the alert says that it is over.", is_clean=True)


def _left_alone(reason: str, evidence: Mapping[str, Any]) -> Finding:
    seen = f" ({format_pairs(evidence)[:MAX_SEEN]})" if evidence else ""
    text = f"But it is not clean: {reason}{seen}, which this remediation leaves alone. Check the target."
    return Finding(text, is_clean=False, headline=f"not clean ({reason})")


def _unreadable(detail: str) -> Finding:
    text = f"But the target cannot be read now, so nothing proves that it is well: {detail}. Check the target."
    return Finding(text, is_clean=False, headline="no longer measured")
