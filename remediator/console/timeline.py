"""The timeline of a run in two lanes: what the world did, and what runbookd did. Waiting stands apart from working."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from remediator.console.alerts import FiringAlert, alerts_of, worst_first
from remediator.console.state_words import Tone, look_of
from remediator.ledger.episodes import Episode
from remediator.ledger.run_row import Run
from remediator.ledger.run_story import OtherRun, Story, StoryEvent, StoryMessage
from remediator.model.remediation import ItemState
from remediator.model.run_state import MEANING, TRANSITIONS, RunState

GAP = timedelta(seconds=60)  # a longer time without an event is shown as such
MAX_JOINED = 10  # alerts that joined later, each an event of its own
Lane = Literal["world", "ours"]
_NOTHING = "nothing happened"
# A part of the page that belongs to an event: the template shows it there.
Part = Literal["", "plan", "effects", "proof", "alerts"]


@dataclass(frozen=True)
class Event:
    """Something that happened. A gap has no lane of its own: it fills both."""

    at: datetime
    lane: Lane
    words: str
    icon: str
    tone: Tone = "quiet"
    detail: str = ""
    part: Part = ""
    gap: timedelta | None = None
    others: Sequence[OtherRun] = ()  # the runs of the episode that were under way during a gap
    state: str = ""  # that the run reached with it
    is_far: bool = True  # from the one before, so that its whole time is worth showing

    @property
    def other_states(self) -> str:
        """How the other runs went, as in `7 refused, 1 succeeded`; of one run only the word."""
        counts = Counter(look_of(each.state).words for each in self.others)
        if len(self.others) == 1:
            return next(iter(counts))
        return ", ".join(f"{number} {words}" for words, number in counts.items())


def timeline_of(run: Run, episode: Episode, story: Story, now: datetime) -> Sequence[Event]:
    """Return the events in their order, with the gaps between them."""
    events = sorted([*_world(run, episode), *_ours(story)], key=lambda each: each.at)
    last_plan = max((at for at, each in enumerate(events) if each.part == "plan"), default=-1)
    events = [
        replace(each, part="") if each.part == "plan" and at != last_plan else each for at, each in enumerate(events)
    ]
    return [_with_others(each, story) for each in _with_gaps(events, run, now)]


def _world(run: Run, episode: Episode) -> Iterator[Event]:
    """Yield what the alerts did, as the episode tells it."""
    if run.answers_an_alert and episode.has_alerts:
        alerts = alerts_of(episode)
        names = list(dict.fromkeys(each.name for each in worst_first(alerts)))
        words = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        yield Event(episode.firing_since, "world", f"{words} began to fire", "alert", _tone_of(alerts), part="alerts")
        yield Event(episode.delivered_at, "world", "Alertmanager delivered it", "world")
        yield from _joined(episode)
        if episode.confirmed_at > episode.delivered_at and episode.ended_at is None and run.finished_at is None:
            yield Event(episode.confirmed_at, "world", "Alertmanager delivered it last: it still fires", "world")
    if episode.ended_at is not None and episode.end_reason != "finished":
        ended = {"resolved": "The alert resolved", "vanished": "The alert is no longer reported as firing"}
        words = ended.get(episode.end_reason or "", f"The episode ended: {episode.end_reason}")
        yield Event(episode.ended_at, "world", words, "check", "good")


def _tone_of(alerts: Sequence[FiringAlert]) -> Tone:
    ranks = [each.rank for each in alerts]
    return "bad" if ranks and min(ranks) < 2 else "warn"


def _joined(episode: Episode) -> Iterator[Event]:
    """Yield the alerts that joined the episode after its first delivery."""
    from_ledger = sorted(
        (entry["joined"], entry["labels"].get("alertname", "?"))
        for entry in episode.alerts.values()
        if entry.get("joined")
    )
    for microseconds, name in from_ledger[:MAX_JOINED]:
        at = datetime.fromtimestamp(microseconds / 1e6, tz=episode.delivered_at.tzinfo)
        if at > episode.delivered_at + timedelta(seconds=1):
            yield Event(at, "world", f"{name} joined", "alert", "warn")


def _ours(story: Story) -> Iterator[Event]:
    """Yield what runbookd did, and what operators did with it."""
    for each in _without_repetitions(story.events):
        if each.event == RunState.EXECUTING and story.effects_began_at is not None:
            yield Event(each.at, "ours", _effect_words(story.counts), "play", "busy", part="effects", state=each.event)
        else:
            yield _event(each)
    yield from (_message(each) for each in story.messages)


def _without_repetitions(rows: Sequence[StoryEvent]) -> Iterator[StoryEvent]:
    """Yield the rows; of the judgements of a deferred run that changed nothing, only the first and the last."""
    repeated = {RunState.PRECHECKED, RunState.DEFERRED}
    for at, row in enumerate(rows):
        around = rows[max(at - 2, 0) : at + 3]
        is_inside = len(around) == 5 and all(each.event in repeated for each in around)
        if not (is_inside and len({each.detail.get("reason") for each in around if each.event == row.event}) == 1):
            yield row


_MEANING = {RunState.SUCCEEDED: "the reading came back clean"}  # what was done stands above it
_WORDS = {
    RunState.PLANNED: "Planned a run",
    RunState.PRECHECKED: "Read the plan and judged its bounds",
    RunState.VERIFYING: "Repeated the reading that made the plan",
    RunState.EXECUTING: "Began its effects",
}
_PARTS: Mapping[str, Part] = {RunState.PRECHECKED: "plan", RunState.SUCCEEDED: "proof", RunState.INEFFECTIVE: "proof"}
_OTHER_EVENTS: Mapping[str, tuple[str, str, Tone]] = {
    "approved": ("approved exactly these items", "person", "good"),
    "approval_withdrawn": ("Approval withdrawn: the operator was removed", "hand", "warn"),
    "breaker_opened": ("Opened the breaker: only an operator closes it", "shield", "bad"),
}


def _event(row: StoryEvent) -> Event:
    by_operator = row.actor != "remediator"
    lane: Lane = "world" if by_operator else "ours"
    reason = str(row.detail.get("reason", ""))
    if row.event in list(RunState):
        look, state = look_of(row.event), RunState(row.event)
        words = _WORDS.get(state) or look.words[0].upper() + look.words[1:]
        is_said = state in TRANSITIONS or state is RunState.REJECTED
        detail = reason if is_said else f"{reason}: {_MEANING.get(state, MEANING[state])}".strip(": ")
        by = f"{row.actor}: " if by_operator else ""
        part = _PARTS.get(state, "")
        return Event(row.at, lane, f"{by}{words}", look.icon, look.tone, detail, part, state=state)
    words, icon, tone = _OTHER_EVENTS.get(row.event, (row.event.replace("_", " ").capitalize(), "gear", "quiet"))
    return Event(row.at, lane, f"{row.actor} {words}" if by_operator else words, icon, tone, reason)


def _effect_words(counts: Mapping[ItemState, int]) -> str:
    total = sum(counts.values())
    begun = {state: number for state, number in counts.items() if state is not ItemState.PLANNED}
    done = ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in begun.items())
    some = f"{number} of " if (number := sum(begun.values())) < total else ""
    return f"Touched {some}its {total} {'item' if total == 1 else 'items'}: {done}"


def _message(message: StoryMessage) -> Event:
    if message.sent_at is None:
        tried = f"tried {message.attempts} times" if message.attempts else "not sent yet"
        return Event(
            message.created_at, "ours", f"Message to {message.contact}: {tried}", "mail", "warn", message.title
        )
    words = f"Message delivered to {message.contact}'s service"  # whether a person has read it, nobody knows
    return Event(message.created_at, "ours", words, "mail", "quiet", message.title)


def _with_gaps(events: Iterable[Event], run: Run, now: datetime) -> Iterator[Event]:
    """Yield the events, and between two that lie far apart how long nothing happened, and why."""
    known = list(events)
    state = ""
    yield from known[:1]
    for this, following in pairwise(known):
        state = _state_after(this, state)
        is_far = following.at - this.at > GAP
        if is_far:
            yield _gap(this.at, following.at - this.at, state)
        yield replace(following, is_far=is_far)
    if known and run.finished_at is None and now - known[-1].at > GAP:
        yield _gap(known[-1].at, now - known[-1].at, str(run.state))


def _with_others(event: Event, story: Story) -> Event:
    """Return a gap with the other runs that were under way in it: those are what happened."""
    if event.gap is None:
        return event
    end = event.at + event.gap
    others = [
        each
        for each in story.others
        if each.created_at < end and (each.finished_at is None or each.finished_at > event.at)
    ]
    return replace(event, words="" if others and event.words == _NOTHING else event.words, others=others)


def _state_after(event: Event, before: str) -> str:
    """Return the state that the run is in after `event`."""
    return event.state or before


def _gap(at: datetime, span: timedelta, state: str) -> Event:
    waits = {
        RunState.AWAITING_APPROVAL: ("waited for an approval", "hand"),
        RunState.DEFERRED: ("waited for a bound", "clock"),
        RunState.VERIFYING: ("waited for the reading to come back clean", "eye"),
        RunState.EXECUTING: ("an effect took this long", "play"),
    }
    words, icon = waits.get(RunState(state), (_NOTHING, "dash")) if state else (_NOTHING, "dash")
    return Event(at, "ours", words, icon, gap=span)
