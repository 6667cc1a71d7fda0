"""The words of an outcome: the headline of a run, the end of its episode, its line for the channel of the incident."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.console.act_words import done_words
from remediator.console.bound_rows import BoundRow
from remediator.console.state_words import look_of
from remediator.ledger.episodes import Episode
from remediator.ledger.run_row import Run
from remediator.ledger.run_story import OtherRun, Story
from remediator.model.remediation import ItemState
from remediator.model.run_state import ACTIVE, ENDED, MEANING, RunState
from remediator.model.target import sanitize

_ENDS = {"resolved": "The alert resolved", "vanished": "The alert is no longer reported as firing"}
_ACTED = ACTIVE | {RunState.SUCCEEDED, RunState.INEFFECTIVE, RunState.UNKNOWN, RunState.INTERRUPTED}
_MAX_DETAIL = 300


@dataclass(frozen=True)
class EpisodeEnd:
    """The end of a run's episode: when, and in a sentence how and whether a run helped."""

    at: datetime
    sentence: str


def headline(run: Run, counts: Mapping[ItemState, int]) -> str:
    """Return the run in a sentence, first what was done to its items, if it got so far."""
    has_begun = any(number for state, number in counts.items() if state is not ItemState.PLANNED)
    done = done_words(run.key, counts, run.undoes) if has_begun and run.state in ENDED else ""
    meaning = _capital(MEANING[run.state])
    if not done:
        return f"{meaning}."
    if run.state is not RunState.SUCCEEDED:
        return f"{_capital(done)}. {meaning}."
    return f"{done}." if run.is_about_an_alert else f"{done}; the reading came back clean."


def end_of(run: Run, episode: Episode, story: Story) -> EpisodeEnd | None:
    """Return the end of the episode, once no advice on `run` counts any more; None before, and without an alert."""
    ended_by = _ENDS.get(episode.end_reason or "")
    if episode.ended_at is None or ended_by is None or run.finished_at is None or not run.answers_an_alert:
        return None
    return EpisodeEnd(episode.ended_at, f"{ended_by}, {_help(run, story, episode.ended_at)}.")


def _help(run: Run, story: Story, ended_at: datetime) -> str:
    """Return which run acted before the end; one about an alert only reads."""
    own = OtherRun(run.id, run.state, run.created_at, run.finished_at)
    acted = {
        each.id: each
        for each in (*story.others, own)
        if each.state in _ACTED and each.created_at <= ended_at and not run.is_about_an_alert
    }
    for number in sorted(acted, reverse=True):
        finished_at = acted[number].finished_at
        if acted[number].state is RunState.SUCCEEDED and finished_at is not None and finished_at <= ended_at:
            return f"after run {number} succeeded"
    if acted:
        number = max(acted)
        return f"and run {number} may have helped: {look_of(acted[number].state).words}"
    return "without a run that touched anything"


def channel_line(run: Run, address: str, parts: Sequence[str]) -> str:
    """Return the run in one line for the channel of the incident."""
    reason = f" ({run.reason})" if run.reason else ""
    state = f"**run {run.id}**: {run.remediation} on `{run.target}` is **{run.state}**{reason}."
    return " ".join([state, *parts, address])


def bound_sentences(rows: Sequence[BoundRow]) -> Iterator[str]:
    """Yield which bounds stopped a run, with their numbers."""
    for row in rows:
        if row.stops:
            yield f"{row.name} {'refuses' if row.verb == 'refuse' else 'defers'}: {sanitize(row.detail, _MAX_DETAIL)}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
