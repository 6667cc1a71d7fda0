"""The states of a run and the allowed transitions: code, diagram and tests read them."""

from enum import StrEnum


class RunState(StrEnum):
    """A state of a run; TRANSITIONS lists what may follow."""

    PLANNED = "planned"
    PRECHECKED = "prechecked"
    DEFERRED = "deferred"
    AWAITING_APPROVAL = "awaiting_approval"
    ADMITTED = "admitted"
    EXECUTING = "executing"
    VERIFYING = "verifying"
    SHADOW = "shadow"
    REFUSED = "refused"
    NOTHING_TO_DO = "nothing_to_do"
    SUCCEEDED = "succeeded"
    INEFFECTIVE = "ineffective"
    FAILED = "failed"
    UNKNOWN = "unknown"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


S = RunState

TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    S.PLANNED: frozenset({S.PRECHECKED, S.REFUSED, S.FAILED, S.CANCELLED}),
    S.PRECHECKED: frozenset(
        {S.SHADOW, S.REFUSED, S.NOTHING_TO_DO, S.DEFERRED, S.AWAITING_APPROVAL, S.REJECTED, S.ADMITTED}
    ),
    S.DEFERRED: frozenset({S.PRECHECKED, S.FAILED, S.EXPIRED, S.CANCELLED}),
    S.AWAITING_APPROVAL: frozenset({S.PRECHECKED, S.REJECTED, S.FAILED, S.EXPIRED, S.CANCELLED}),
    S.ADMITTED: frozenset({S.EXECUTING, S.PRECHECKED, S.FAILED, S.CANCELLED}),
    S.EXECUTING: frozenset({S.VERIFYING, S.NOTHING_TO_DO, S.FAILED, S.UNKNOWN, S.INTERRUPTED}),
    S.VERIFYING: frozenset({S.SUCCEEDED, S.INEFFECTIVE, S.UNKNOWN}),
}

# Each state in one line of the reference.
MEANING = {
    S.PLANNED: "an episode wants it; nothing was read yet",
    S.PRECHECKED: "the exact items are known, and every bound was evaluated",
    S.DEFERRED: "deferred by a bound; resumes when the bound clears and the alert is delivered again",
    S.AWAITING_APPROVAL: "an operator has to approve exactly the items it lists",
    S.ADMITTED: "it passed all bounds and made its reservation, in one transaction",
    S.EXECUTING: "it touches its items; each intent is durable before its effect",
    S.VERIFYING: "all effects are done; it repeats the reading that made the plan",
    S.SHADOW: "the mode is `shadow`: planned and recorded, nothing was touched",
    S.REFUSED: "a bound refused it; nothing was touched",
    S.NOTHING_TO_DO: "there was nothing to touch, or none of the items was still as planned",
    S.SUCCEEDED: "each item that was still as planned was applied, and the reading came back clean",
    S.INEFFECTIVE: "it was applied only in part, or the reading afterwards is not clean",
    S.FAILED: "nothing was applied; if the alert still fires, a new run follows after the cooldown",
    S.UNKNOWN: "the remediator cannot tell what was applied; an operator has to check",
    S.INTERRUPTED: "stopped part-way by a crash, shutdown, pause, freeze or resolved alert; untouched items are intact",
    S.CANCELLED: "its alert resolved before anything was touched",
    S.EXPIRED: "it waited too long for a bound or for approval",
    S.REJECTED: "an operator rejected it",
}

# Nothing has been touched in these states, so a resolved alert cancels the run.
CANCELLABLE = frozenset(state for state, following in TRANSITIONS.items() if S.CANCELLED in following)
# A run in one of these states holds its target and counts against concurrency.
ACTIVE = frozenset({S.ADMITTED, S.EXECUTING, S.VERIFYING})
ENDED = frozenset(RunState) - frozenset(TRANSITIONS)
# The reason of a run that ended `interrupted` without a request to stop.
CRASH = "crash"
# The reason of a run that was refused because the inventory, or the target itself, does not have what the alert names.
UNKNOWN_TARGET = "unknown_target"
# The reason of a run that was rejected without a question, because an operator has just rejected the same items.
SAME_ITEMS = "same_items"


def counts_toward_breaker(state: RunState, reason: str) -> bool:
    """Return whether the breaker counts this end: a failure or a crash."""
    return state is S.FAILED or (state is S.INTERRUPTED and reason == CRASH)
