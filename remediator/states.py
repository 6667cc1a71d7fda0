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

# Resolved before it started: nothing has been touched, so it can still be called off.
CANCELLABLE = frozenset(state for state, following in TRANSITIONS.items() if S.CANCELLED in following)
# It holds its target, and counts against concurrency.
ACTIVE = frozenset({S.ADMITTED, S.EXECUTING, S.VERIFYING})
ENDED = frozenset(RunState) - frozenset(TRANSITIONS)
# A person is told, with everything that was tried.
ESCALATED = frozenset({S.REFUSED, S.AWAITING_APPROVAL, S.INEFFECTIVE, S.FAILED, S.UNKNOWN, S.EXPIRED})
# The fix did not fix it, or nobody knows: not again until a person has looked.
OPENS_BREAKER = frozenset({S.INEFFECTIVE, S.UNKNOWN})
# Why a run ended `interrupted` when nobody had asked it to stop.
CRASH = "crash"


def is_mishap(state: RunState, reason: str) -> bool:
    """Trouble that may pass: it opens the breaker when it repeats. What people stopped is no trouble."""
    return state is S.FAILED or (state is S.INTERRUPTED and reason == CRASH)
