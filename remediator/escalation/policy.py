"""Who of the people is told, and when: each stack's steps, by the time since people were first told of an episode.

Source: PMCRM runbook, "Incident Response > Escalation Procedures" (30 and 60 minutes, 2 hours if customers feel it);
Life Platform runbook, "Emergency Contacts" (at once, 15, 30, 60 minutes).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clients.alertmanager import ActiveAlert, AlertmanagerUnreadable, blocking
from remediator.context import World
from remediator.escalation.message import end_message, step_message
from remediator.ledger import episodes, outbox, runs
from remediator.ledger.episodes import Episode, lately
from remediator.ledger.outbox import Standing, Told
from remediator.model.target import keys_of
from runbookd.inventory import EscalationStep, Inventory

log = structlog.get_logger(__name__)


def steps_of(inventory: Inventory, stack: str) -> Mapping[str, EscalationStep]:
    """The ladder of `stack`; all contacts at once where it has none, or where there is no such stack."""
    known = inventory.stacks.get(stack)
    if known is not None and known.escalation:
        return known.escalation
    everybody = tuple(inventory.contacts)
    return {"everybody": EscalationStep(contacts=everybody)} if everybody else {}


def circle(inventory: Inventory, stack: str, told: Told | None) -> Sequence[str]:
    """Whom something new about an episode concerns: whoever is told at once, and whoever knows of it already."""
    at_once = [contact for step in steps_of(inventory, stack).values() if step.at_once for contact in step.contacts]
    return list(dict.fromkeys([*at_once, *sorted(told.contacts if told is not None else ())]))


async def climb(world: World) -> None:
    """Tell the next step of every open episode that has lasted long enough.

    An episode that nothing confirms any more stands still, unless Alertmanager says that it fires: it may be over.
    """
    if not any(not step.at_once for stack in world.inventory.stacks.values() for step in stack.escalation.values()):
        return
    async with world.ledger.read() as connection:
        told = await outbox.told_and_open(connection)
    due = [(each, name, step) for each in told for name, step in _due_steps(world, each)]
    firing = await _firing(world) if any(step.only_while or _is_quiet(world, each) for each, _, step in due) else []
    firing_keys = keys_of((alert.labels for alert in firing), world.remediations)
    for each, name, step in due:
        if _is_quiet(world, each) and each.key not in firing_keys:
            continue
        if not step.only_while or _lasts(step, firing, each.key.stack, world.clock.now()):
            await _tell_step(world, each.told.episode, name, step)


def _is_quiet(world: World, standing: Standing) -> bool:
    return not lately(standing.confirmed_at, 2 * world.repeat_interval, world.clock.now())


def _due_steps(world: World, standing: Standing) -> Iterable[tuple[str, EscalationStep]]:
    lasted = world.clock.now() - _first_told(world, standing.told, standing.firing_since)
    for name, step in steps_of(world.inventory, standing.key.stack).items():
        untold = outbox.step_key(standing.told.episode, name) not in standing.told.keys
        if untold and not step.at_once and step.after <= lasted:
            yield name, step


def _first_told(world: World, told: Told, firing_since: datetime) -> datetime:
    """When people were first told. If that lies ahead, our clock was set back since; the alert's own start is left."""
    return told.since if told.since <= world.clock.now() else firing_since


async def _firing(world: World) -> Sequence[ActiveAlert]:
    """What fires; nothing where that can not be told, so that nobody is woken by a guess. It is asked again soon."""
    if world.alertmanager is None:
        return []
    try:
        return await world.alertmanager.active()
    except AlertmanagerUnreadable as error:
        log.warning("a step of the escalation waits", reason=str(error))
        return []


def _lasts(step: EscalationStep, firing: Sequence[ActiveAlert], stack: str, now: datetime) -> bool:
    """Whether one of the step's alerts has fired for as long as the step says."""
    old = [alert for alert in firing if alert.started is not None and alert.started + step.after <= now]
    return bool(blocking(old, step.only_while, stack))


async def _tell_step(world: World, identifier: int, name: str, step: EscalationStep) -> None:
    """Queue the message of one step, if the episode is still open: what it tells is what holds now."""
    async with world.ledger.write() as connection:
        episode, told = await episodes.get(connection, identifier), await outbox.told(connection, identifier)
        last = await runs.last_of(connection, identifier)
        if episode.ended_at is not None or told is None or last is None:
            return
        now, told = world.clock.now(), replace(told, since=_first_told(world, told, episode.firing_since))
        message = await step_message(connection, world, episode, last, told, now)
        await outbox.put(connection, identifier, outbox.step_key(identifier, name), step.contacts, *message, now)


async def tell_end(connection: AsyncConnection, world: World, episode: Episode, reason: str) -> None:
    """Queue a short note to everybody who has been told of `episode`, in the transaction that ends it."""
    await outbox.drop_untold_steps(connection, episode.id)
    told = await outbox.told(connection, episode.id)
    if told is not None:
        now = world.clock.now()
        message = await end_message(connection, episode, reason, now)
        await outbox.put(connection, episode.id, outbox.end_key(episode.id), sorted(told.contacts), *message, now)
