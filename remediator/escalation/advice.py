"""What a person does next about a run: by its state, and by what stood in the way."""

import shlex

from remediator.ledger.runs import Run
from remediator.model.run_state import RunState

_CLOSE = "Look at the target; when it is mended: {close}"
_BY_STATE = {
    RunState.PLANNED: "Its plan is being read.",
    RunState.PRECHECKED: "Its bounds are being asked.",
    RunState.DEFERRED: "It waits for what defers it and for the alert's next delivery; after an hour it expires.",
    RunState.AWAITING_APPROVAL: (
        "Nothing was touched. Look at the plan, then say no ({reject}) or, until {until}, yes: {approve}"
    ),
    RunState.ADMITTED: "All bounds are passed; its first effect comes next.",
    RunState.EXECUTING: "It is touching its items.",
    RunState.VERIFYING: "Its items are touched; the reading that made the plan is taken again.",
    RunState.SHADOW: "The mode is shadow: it only plans and records. Approve or auto in the inventory let it act.",
    RunState.REFUSED: "Nothing was touched. Look at the target, then follow the runbook.",
    RunState.NOTHING_TO_DO: "Nothing was touched, and nothing will be: it needs a person. Follow the runbook.",
    RunState.SUCCEEDED: "Nothing: the reading that made the plan came back clean.",
    RunState.INEFFECTIVE: f"It did not help, or was applied only in part; it is not tried again. {_CLOSE}",
    RunState.FAILED: "Nothing was applied. It may be tried again after its cooldown, unless its breaker has opened.",
    RunState.UNKNOWN: f"Nobody can tell what was applied; it is not tried again. {_CLOSE}",
    RunState.INTERRUPTED: "It was stopped between two effects. The alert's next delivery plans afresh.",
    RunState.CANCELLED: "Nothing: it was called off before it touched anything.",
    RunState.EXPIRED: "It waited too long and was given up. Nothing was touched. Follow the runbook.",
    RunState.REJECTED: "Nothing was touched: a person said no.",
}
_BY_REASON = {
    (RunState.REFUSED, "kill_switch"): "Nothing was touched: a person has paused it. When that is over: {resume}",
    (RunState.REFUSED, "freeze"): "Nothing is touched before the freeze ends. What can not wait, do by the runbook.",
    (RunState.REFUSED, "breaker"): f"Nothing was touched: its last runs did not help. {_CLOSE}",
    (RunState.REFUSED, "storm"): (
        "Nothing was touched: so much at once is an outage, not one fault. Look at what the alerts have in common."
    ),
    (RunState.REFUSED, "stale"): "Nothing was touched. Look whether Alertmanager still reaches the remediator.",
    (RunState.REFUSED, "max_items"): (
        "Nothing was touched: there are more than may be touched at once. Look why, then follow the runbook."
    ),
    (RunState.REFUSED, "max_share"): (
        "Nothing was touched: they are too large a part of all. Look why, then follow the runbook."
    ),
    (RunState.REFUSED, "blocked_by_alert"): "Nothing was touched. Mend what these alerts are about first.",
    (RunState.REFUSED, "unknown_target"): "Nothing was touched. Correct the alert's labels, or the inventory.",
    (RunState.FAILED, "target_unreachable"): (
        "Nothing was touched: the target could not be read. See whether it answers; missing rights: runbookctl doctor"
    ),
    (RunState.FAILED, "internal_error"): "Nothing was touched. This is a fault of the remediator: see its log.",
    (RunState.NOTHING_TO_DO, ""): "Nothing: there was nothing to touch.",
    (RunState.NOTHING_TO_DO, "changed_since_planned"): "Nothing: when it came to act, nothing was as planned any more.",
    (
        RunState.NOTHING_TO_DO,
        "backup_running",
    ): "Nothing: a backup runs; the alert's next delivery plans afresh.",
    (RunState.NOTHING_TO_DO, "queue_paused"): (
        "Nothing was touched: no worker takes jobs of a paused queue. Resume it, and the next delivery plans afresh."
    ),
    (RunState.NOTHING_TO_DO, "retried_twice"): (
        "Nothing was touched: these jobs failed again after each of two retries. Mend or remove them by the runbook."
    ),
}


def what_next(run: Run) -> str:
    """What a person does about `run`, in a sentence or two, with the commands to copy."""
    advice = _BY_REASON.get((run.state, run.reason)) or _BY_STATE[run.state]
    return advice.format(
        approve=f"runbookctl approve {run.id}",
        reject=f"runbookctl reject {run.id}",
        until=f"{run.expires_at:%H:%M} UTC" if run.expires_at else "it runs out",
        close=shlex.join(["runbookctl", "breaker", "close", run.remediation, run.target]),
        resume=shlex.join(["runbookctl", "resume", "--stack", run.stack]),
    )
