"""Recipients and timing: which outcomes are escalated, and when each step is due.

Source: PMCRM runbook, "Incident Response > Escalation Procedures" (30 and 60 minutes, 2 hours if customers feel it);
Life Platform runbook, "Emergency Contacts" (at once, 15, 30, 60 minutes).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clients.alertmanager import ActiveAlert, AlertmanagerUnreadable, select_firing
from remediator.context import Context, LeaderContext
from remediator.escalation.message import run_message, step_message
from remediator.ledger import acknowledgements, episodes, outbox, runs, switches
from remediator.ledger.acknowledgements import Acknowledgement
from remediator.ledger.outbox import Notifications, NotifiedEpisode
from remediator.ledger.runs import Run
from remediator.model.clock import is_recent
from remediator.model.run_state import UNKNOWN_TARGET, RunState
from remediator.model.target import keys_of
from runbookd.inventory import EscalationStep, Inventory

log = structlog.get_logger(__name__)


# Off on an operator's wish, or passing by itself: no message. Unknown targets have one message together.
NOT_ESCALATED = frozenset({"mode_off", "backup_running", "nothing_listed", UNKNOWN_TARGET})

# Other outcomes repeat while nothing changes, so each is escalated once per episode.
ESCALATED_EVERY_TIME = frozenset({RunState.AWAITING_APPROVAL, RunState.INEFFECTIVE, RunState.UNKNOWN})


# The operator who starts a run sees these at once; without an effect, nobody else has to know.
SEEN_BY_THE_OPERATOR = frozenset({RunState.REFUSED, RunState.NOTHING_TO_DO})


def steps_of(inventory: Inventory, stack: str) -> Mapping[str, EscalationStep]:
    """Return the escalation steps of `stack`, or else one step with all contacts."""
    stack_settings = inventory.stacks.get(stack)
    if stack_settings is not None and stack_settings.escalation:
        return stack_settings.escalation
    everybody = tuple(inventory.contacts)
    return {"everybody": EscalationStep(contacts=everybody)} if everybody else {}


def contacts_for(inventory: Inventory, stack: str, notifications: Notifications | None) -> Sequence[str]:
    """Return the contacts for an update: the immediate steps, plus everyone notified so far."""
    immediate_contacts = [
        contact for step in steps_of(inventory, stack).values() if step.is_immediate for contact in step.contacts
    ]
    return list(
        dict.fromkeys([*immediate_contacts, *sorted(notifications.contacts if notifications is not None else ())])
    )


async def escalate(connection: AsyncConnection, context: Context, run: Run) -> None:
    """Queue a message about `run` in the transaction that moved it.

    Repeated outcomes are escalated once per episode.
    """
    if run.reason in NOT_ESCALATED and run.trigger != "end":
        return
    if run.trigger == "operator" and run.state in SEEN_BY_THE_OPERATOR:
        return
    key = await _message_key(connection, run)
    notifications = await outbox.notifications_of(connection, run.episode)
    if notifications is not None and key in notifications.keys:
        return
    contacts = contacts_for(context.inventory, run.stack, notifications)
    message = await run_message(connection, context, run, await episodes.get(connection, run.episode))
    await outbox.enqueue(connection, run.episode, key, contacts, message.draft(), context.clock.now())


async def _message_key(connection: AsyncConnection, run: Run) -> str:
    """Return the key of a message about `run`: what has the same key is reported once to each contact.

    A storm is one cause, on however many targets.
    """
    if run.state is RunState.REFUSED and run.reason == "storm":
        return f"storm/{await switches.last_storm_id(connection)}"
    if run.trigger == "end":  # each try has an episode of its own
        return f"undo/{run.undoes}/{run.state}/{run.reason}"
    key = f"{run.episode}/{run.state}/{run.reason}"
    return f"{key}/{run.id}" if run.state in ESCALATED_EVERY_TIME else key


async def escalate_due_steps(context: LeaderContext) -> None:
    """Notify the next step of every open episode that has lasted long enough.

    The ladder stands still while the episode is acknowledged. An unconfirmed episode may be over, so its escalation
    pauses unless Alertmanager still lists the alert.
    """
    context = context.snapshot()
    if not any(
        not step.is_immediate for stack in context.inventory.stacks.values() for step in stack.escalation.values()
    ):
        return
    async with context.ledger.read() as connection:
        notified_episodes = await outbox.notified_open_episodes(connection)
        acknowledged = await acknowledgements.of_open_episodes(connection)
    due_steps = [
        (each, name, step)
        for each in notified_episodes
        for name, step in _due_steps(context, each, acknowledged.get(each.notifications.episode, ()))
    ]
    firing_alerts = (
        await _query_firing_alerts(context)
        if any(step.only_while or _is_unconfirmed(context, each) for each, _, step in due_steps)
        else []
    )
    firing_keys = keys_of((alert.labels for alert in firing_alerts), context.remediations)
    for each, name, step in due_steps:
        if _is_unconfirmed(context, each) and each.key not in firing_keys:
            continue
        if not step.only_while or _has_fired_long_enough(step, firing_alerts, each.key.stack, context.clock.now()):
            await _notify_step(context, each.notifications.episode, name, step)


def _is_unconfirmed(context: Context, notified_episode: NotifiedEpisode) -> bool:
    return not is_recent(notified_episode.confirmed_at, 2 * context.repeat_interval, context.clock.now())


def _due_steps(
    context: Context, notified_episode: NotifiedEpisode, acknowledged: Sequence[Acknowledgement]
) -> Iterable[tuple[str, EscalationStep]]:
    """Yield the steps that are due; the time in which the episode was acknowledged does not count."""
    if any(each.ended_at is None for each in acknowledged):
        return
    since = _first_notified_at(context, notified_episode.notifications, notified_episode.firing_since)
    duration = context.clock.now() - since - _time_in(acknowledged, since)
    for name, step in steps_of(context.inventory, notified_episode.key.stack).items():
        is_pending = (
            outbox.step_key(notified_episode.notifications.episode, name) not in notified_episode.notifications.keys
        )
        if is_pending and not step.is_immediate and step.after <= duration:
            yield name, step


def _time_in(acknowledged: Sequence[Acknowledgement], since: datetime) -> timedelta:
    spans = ((each.ended_at or each.at) - max(each.at, since) for each in acknowledged)
    return sum((max(span, timedelta(0)) for span in spans), timedelta(0))


def _first_notified_at(context: Context, notifications: Notifications, firing_since: datetime) -> datetime:
    """Return when the first message was queued.

    If the clock was set back since, it is the alert's own start.
    """
    return notifications.since if notifications.since <= context.clock.now() else firing_since


async def _query_firing_alerts(context: Context) -> Sequence[ActiveAlert]:
    """Query the firing alerts.

    Without an answer there are none, so that no contact is woken by a guess.
    """
    if context.alertmanager is None:
        return []
    try:
        return await context.alertmanager.active()
    except AlertmanagerUnreadable as error:
        log.warning("an escalation step waits until Alertmanager answers", reason=str(error))
        return []


def _has_fired_long_enough(
    step: EscalationStep, firing_alerts: Sequence[ActiveAlert], stack: str, now: datetime
) -> bool:
    """Return whether one of the step's alerts has fired for the step's `after`."""
    lasting_alerts = [
        alert for alert in firing_alerts if alert.started is not None and alert.started + step.after <= now
    ]
    return bool(select_firing(lasting_alerts, step.only_while, stack))


async def _notify_step(context: LeaderContext, identifier: int, name: str, step: EscalationStep) -> None:
    """Queue the message of one step with the current state, if the episode is still open."""
    async with context.ledger.write() as connection:
        episode, notifications = (
            await episodes.get(connection, identifier),
            await outbox.notifications_of(connection, identifier),
        )
        last_run = await runs.last_of_episode(connection, identifier)
        if episode.ended_at is not None or notifications is None or last_run is None:
            return
        if await acknowledgements.open_of(connection, identifier) is not None:  # since the steps were read
            return
        now, notifications = (
            context.clock.now(),
            replace(notifications, since=_first_notified_at(context, notifications, episode.firing_since)),
        )
        message = await step_message(connection, context, episode, last_run, notifications, now)
        await outbox.enqueue(
            connection, identifier, outbox.step_key(identifier, name), step.contacts, message.draft(), now
        )
