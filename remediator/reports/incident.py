"""Gathers an incident: one episode, with what happened around it, was tried, and was done by people.

Sources: the incident templates and post-mortem steps of the runbooks (PMCRM, "Communication Templates"; ClientForge,
"P0 Incident Checklist"; Formula PM, "Post-Incident"; Life Platform, "Post-Incident" and its template).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger import acknowledgements, audit, effects, episodes, runs
from remediator.ledger.acknowledgements import Acknowledgement
from remediator.ledger.audit import RunEvent
from remediator.ledger.deploys import Deploy
from remediator.ledger.effects import RunItem
from remediator.ledger.episodes import Episode
from remediator.ledger.incident_facts import (
    SentMessage,
    deploys_between,
    overlapping,
    pauses_between,
    sent_messages,
)
from remediator.ledger.runs import Run
from remediator.ledger.switches import ActivePause
from remediator.model.errors import NoSuchEpisode
from remediator.model.run_state import RunState

DEPLOYS_BEFORE = timedelta(hours=24)  # a deploy of the last day is the first thing to suspect
AFTERWARDS = timedelta(minutes=15)  # what people did right after the end still belongs to it
MAX_RUNS = 50
# Not worth a line: the next event says more.
_STEPS = frozenset({*(RunState.PLANNED, RunState.PRECHECKED, RunState.ADMITTED, RunState.VERIFYING), "intended"})


@dataclass(frozen=True)
class Incident:
    """The facts of the ledger about one incident."""

    episode: Episode
    written_at: datetime
    head: str
    also: Sequence[Episode]
    runs: Sequence[Run]
    items: Mapping[int, Sequence[RunItem]]
    histories: Mapping[int, Sequence[RunEvent]]
    messages: Sequence[SentMessage]
    acknowledgements: Sequence[Acknowledgement]
    pauses: Sequence[ActivePause]
    deploys: Sequence[Deploy]
    runbook_url: str

    @property
    def duration(self) -> timedelta:
        """From the first alert to the end, or until now."""
        return (self.episode.ended_at or self.written_at) - self.episode.firing_since


@dataclass(frozen=True)
class TimelineEvent:
    """One line of the timeline."""

    at: datetime
    who: str
    what: str


async def read_incident(connection: AsyncConnection, context: Context, identifier: int) -> Incident:
    """Return the incident of the episode with this number.

    Raises:
        NoSuchEpisode: there is none.
    """
    if (episode := await episodes.get_or_none(connection, identifier)) is None:
        raise NoSuchEpisode(f"there is no episode {identifier}; `runbookctl episodes --all` lists them")
    now = context.clock.now()
    until = min(now, (episode.ended_at or now) + AFTERWARDS)
    tried = list(await runs.of_episode(connection, identifier))[-MAX_RUNS:]
    numbers = [run.id for run in tried]
    stack = context.inventory.stacks.get(episode.stack)
    return Incident(
        episode=episode,
        written_at=now,
        head=await audit.head(connection),
        also=await overlapping(connection, episode, episode.ended_at or now),
        runs=tried,
        items=await effects.items_of(connection, numbers),
        histories={number: await audit.history(connection, number) for number in numbers},
        messages=await sent_messages(connection, [identifier]),
        acknowledgements=await acknowledgements.of_episode(connection, identifier),
        pauses=await pauses_between(connection, episode.stack, episode.opened_at, until),
        deploys=await deploys_between(connection, episode.stack, episode.firing_since - DEPLOYS_BEFORE, until),
        runbook_url=stack.runbook_url if stack is not None else "",
    )


def streaks(incident: Incident) -> Sequence[Sequence[Run]]:
    """Return the runs in order, each with those right after it that ended alike: repetitions say nothing more."""

    def end_of(run: Run) -> tuple[str, str, str]:
        return run.remediation, run.state, run.reason

    return [list(alike) for _, alike in groupby(incident.runs, end_of)]


def timeline(incident: Incident) -> Sequence[TimelineEvent]:
    """Return everything that happened, in order."""
    parts = (_alert_events, _run_events, _message_events, *_PEOPLE)
    return sorted((event for part in parts for event in part(incident)), key=lambda event: event.at)


def acts_of_people(incident: Incident) -> Sequence[TimelineEvent]:
    """Return what operators did, in order."""
    events = [event for part in (_run_events, *_PEOPLE) for event in part(incident)]
    return sorted((event for event in events if event.who != "remediator"), key=lambda event: event.at)


def _alert_events(incident: Incident) -> Iterator[TimelineEvent]:
    episode = incident.episode
    if episode.has_alerts:
        yield TimelineEvent(episode.firing_since, "alert", f"{', '.join(episode.alert_names)} began to fire")
        yield TimelineEvent(episode.opened_at, "remediator", "the first delivery arrived")
    for other in incident.also:
        about = ", ".join(other.alert_names) or f"{other.remediation}, started by an operator"
        yield TimelineEvent(other.opened_at, "alert", f"also: {about} on {other.target} (episode {other.id})")
    if episode.ended_at is not None:
        yield TimelineEvent(episode.ended_at, "alert", f"the episode ended: {episode.end_reason or 'over'}")


def _run_events(incident: Incident) -> Iterator[TimelineEvent]:
    for first, *others in streaks(incident):
        yield from _events_of(incident, first)
        if len(others) < 2 or any(run.approved_by or run.requested_by for run in others):
            yield from (event for run in others for event in _events_of(incident, run))
        else:
            last = others[-1]
            what = f"runs {others[0].id} to {last.id} ended alike: {_words(last.state, last.reason)}"
            yield TimelineEvent(last.finished_at or last.created_at, "remediator", what)


def _events_of(incident: Incident, run: Run) -> Iterator[TimelineEvent]:
    yield TimelineEvent(run.created_at, run.requested_by or "remediator", f"run {run.id} of {run.remediation} began")
    for event in incident.histories[run.id]:
        if event.state not in _STEPS:
            yield TimelineEvent(event.at, event.actor, f"run {run.id}: {_words(event.state, event.reason)}")


def _words(state: str, reason: str) -> str:
    return state.replace("_", " ") + (f" ({reason})" if reason else "")


def _message_events(incident: Incident) -> Iterator[TimelineEvent]:
    for message in incident.messages:
        yield TimelineEvent(message.sent_at, "remediator", f"message to {message.contact}: {message.title}")


def _pause_events(incident: Incident) -> Iterator[TimelineEvent]:
    for pause in incident.pauses:
        of = pause.stack or "all stacks"
        yield TimelineEvent(pause.begun_at, pause.begun_by, f"paused remediation of {of}: {pause.reason}")
        if pause.ended_at is not None:
            yield TimelineEvent(pause.ended_at, pause.ended_by or "remediator", f"resumed remediation of {of}")


def _deploy_events(incident: Incident) -> Iterator[TimelineEvent]:
    for deploy in incident.deploys:
        version = f" of {deploy.version}" if deploy.version else ""
        yield TimelineEvent(deploy.begun_at, deploy.begun_by, f"deploy{version} began")
        if deploy.done_at is not None:
            yield TimelineEvent(deploy.done_at, deploy.begun_by, f"deploy{version} was done")


def _acknowledge_events(incident: Incident) -> Iterator[TimelineEvent]:
    for each in incident.acknowledgements:
        note = f": {each.note}" if each.note else ""
        yield TimelineEvent(each.at, each.operator, f"acknowledged it{note}")
        if each.ended_at is not None and each.end_reason:
            yield TimelineEvent(each.ended_at, "remediator", f"the acknowledgement ended: {each.end_reason}")


_PEOPLE = (_acknowledge_events, _pause_events, _deploy_events)
