"""The words of states for people, each with a tone and an icon: colour alone tells nobody anything."""

from dataclasses import dataclass
from typing import Literal

from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState

Tone = Literal["good", "bad", "warn", "wait", "busy", "quiet"]


@dataclass(frozen=True)
class Look:
    """How a state looks: its words, its tone (a class of the stylesheet) and its icon (a shape of `icons.html`)."""

    words: str
    tone: Tone
    icon: str


S, I = RunState, ItemState  # noqa: E741 - the table reads better
_RUNS: dict[RunState, Look] = {
    S.PLANNED: Look("reading its plan", "busy", "eye"),
    S.PRECHECKED: Look("evaluating its bounds", "busy", "eye"),
    S.DEFERRED: Look("deferred", "wait", "clock"),
    S.AWAITING_APPROVAL: Look("awaits approval", "wait", "hand"),
    S.ADMITTED: Look("admitted", "busy", "play"),
    S.EXECUTING: Look("executing", "busy", "play"),
    S.VERIFYING: Look("verifying", "busy", "eye"),
    S.SHADOW: Look("shadow: only planned", "quiet", "eye"),
    S.REFUSED: Look("refused", "warn", "shield"),
    S.NOTHING_TO_DO: Look("nothing to do", "quiet", "dash"),
    S.SUCCEEDED: Look("succeeded", "good", "check"),
    S.INEFFECTIVE: Look("ineffective", "bad", "cross"),
    S.FAILED: Look("failed", "bad", "cross"),
    S.UNKNOWN: Look("outcome unknown", "bad", "question"),
    S.INTERRUPTED: Look("interrupted", "warn", "stop"),
    S.CANCELLED: Look("cancelled", "quiet", "dash"),
    S.EXPIRED: Look("expired", "warn", "clock"),
    S.REJECTED: Look("rejected", "quiet", "hand"),
}
_ITEMS: dict[ItemState, Look] = {
    I.PLANNED: Look("planned", "quiet", "dash"),
    I.INTENDED: Look("intended", "busy", "play"),
    I.APPLIED: Look("applied", "good", "check"),
    I.SKIPPED: Look("skipped", "quiet", "dash"),
    I.NOT_APPLIED: Look("not applied", "warn", "stop"),
    I.FAILED: Look("failed", "bad", "cross"),
    I.UNKNOWN: Look("unknown", "bad", "question"),
}


def look_of(state: str) -> Look:
    """Return how the state of a run looks."""
    return _RUNS[RunState(state)]


def item_look(state: str) -> Look:
    """Return how the state of an item looks."""
    return _ITEMS[ItemState(state)]
