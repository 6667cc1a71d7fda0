"""The states of a run and the only ways between them. The code, the diagram and the tests read this one table."""

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands; see TRANSITIONS for what may follow."""

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
    S.PRECHECKED: frozenset({S.SHADOW, S.REFUSED, S.NOTHING_TO_DO, S.DEFERRED, S.AWAITING_APPROVAL, S.ADMITTED}),
    S.DEFERRED: frozenset({S.PRECHECKED, S.FAILED, S.EXPIRED, S.CANCELLED}),
    S.AWAITING_APPROVAL: frozenset({S.PRECHECKED, S.REJECTED, S.FAILED, S.EXPIRED, S.CANCELLED}),
    S.ADMITTED: frozenset({S.EXECUTING, S.PRECHECKED, S.FAILED, S.CANCELLED}),
    S.EXECUTING: frozenset({S.VERIFYING, S.NOTHING_TO_DO, S.FAILED, S.UNKNOWN, S.INTERRUPTED}),
    S.VERIFYING: frozenset({S.SUCCEEDED, S.INEFFECTIVE, S.UNKNOWN}),
}

# In a line for people.
MEANING = {
    S.PLANNED: "an episode wants it; nothing was looked at yet",
    S.PRECHECKED: "the exact items are known, and every bound was asked",
    S.DEFERRED: "a bound lets it wait; it needs its time to come and its alert to be delivered again",
    S.AWAITING_APPROVAL: "a person has to say yes to exactly the items it lists",
    S.ADMITTED: "all bounds and the reservation were taken in one transaction",
    S.EXECUTING: "it touches its items; each intent is durable before its effect",
    S.VERIFYING: "no further effect follows; the reading that made the plan is taken again",
    S.SHADOW: "the mode is `shadow`: planned and recorded, nothing was touched",
    S.REFUSED: "a bound stands in the way; nothing was touched",
    S.NOTHING_TO_DO: "there was nothing to touch, or nothing was any more as planned",
    S.SUCCEEDED: "nothing that had to be touched was left, and the reading came back clean",
    S.INEFFECTIVE: "it was applied, but only in part, or the reading is not clean",
    S.FAILED: "nothing was applied; it may be tried again after its cooldown",
    S.UNKNOWN: "nobody can tell what was applied; a person has to look",
    S.INTERRUPTED: "stopped on the way: a crash, a stop, a pause, a freeze, the end of its alert; the rest is whole",
    S.CANCELLED: "its alert was over before anything was touched",
    S.EXPIRED: "it waited too long for a bound or for a person",
    S.REJECTED: "a person said no",
}

# Resolved before it started: nothing has been touched, so it can still be called off.
CANCELLABLE = frozenset(state for state, following in TRANSITIONS.items() if S.CANCELLED in following)
# It holds its target, and counts against concurrency.
ACTIVE = frozenset({S.ADMITTED, S.EXECUTING, S.VERIFYING})
ENDED = frozenset(RunState) - frozenset(TRANSITIONS)
# Why a run ended `interrupted` when nobody had asked it to stop.
CRASH = "crash"


def counts_toward_breaker(state: RunState, reason: str) -> bool:
    """Trouble that may pass: it opens the breaker when it repeats. What people stopped is no trouble."""
    return state is S.FAILED or (state is S.INTERRUPTED and reason == CRASH)
