"""The advice on a run: what the on-call does next, by its state and reason."""

import shlex

from remediator.ledger.runs import Run
from remediator.model.run_state import RunState

_CLOSE = "Check the target. Once it is fixed, close the breaker: {close}"
_BY_STATE = {
    RunState.PLANNED: "Reading its plan.",
    RunState.PRECHECKED: "Evaluating its bounds.",
    RunState.DEFERRED: "Deferred until the bound clears and the alert is delivered again. Expires after one hour.",
    RunState.AWAITING_APPROVAL: (
        "Nothing was touched. Review the plan, then approve it before {until} ({approve}) or reject it ({reject})"
    ),
    RunState.ADMITTED: "It passed all bounds; its first effect comes next.",
    RunState.EXECUTING: "It is touching its items.",
    RunState.VERIFYING: "All its effects are done; it is repeating the reading that made the plan.",
    RunState.SHADOW: (
        "In mode shadow it only plans and records. To let it act, set its mode to approve or auto in the inventory."
    ),
    RunState.REFUSED: "Nothing was touched. Check the target, then follow the runbook.",
    RunState.NOTHING_TO_DO: "Nothing was touched, and a retry would not help. Follow the runbook.",
    RunState.SUCCEEDED: "Nothing: the target is clean again.",
    RunState.INEFFECTIVE: f"It did not help, or was applied only in part; it is not retried. {_CLOSE}",
    RunState.FAILED: "Nothing was applied. It may be retried after its cooldown, unless its breaker has opened.",
    RunState.UNKNOWN: f"The remediator cannot tell what was applied; it does not retry. {_CLOSE}",
    RunState.INTERRUPTED: "It was stopped between two effects. The alert's next delivery makes a new plan.",
    RunState.CANCELLED: "Nothing: it was cancelled before it touched anything.",
    RunState.EXPIRED: "It waited too long and expired. Nothing was touched. Follow the runbook.",
    RunState.REJECTED: "Nothing was touched: an operator rejected it.",
}
_READING = frozenset(
    {RunState.ADMITTED, RunState.EXECUTING, RunState.VERIFYING, RunState.SUCCEEDED, RunState.NOTHING_TO_DO}
)
_BY_REASON = {
    (RunState.REFUSED, "kill_switch"): (
        "Nothing was touched: it is paused. To resume this stack: {resume}; after a pause of everything:"
        " runbookctl resume; a pause file has to be removed."
    ),
    (RunState.REFUSED, "freeze"): "Nothing is touched before the freeze ends. If it cannot wait, follow the runbook.",
    (RunState.REFUSED, "breaker"): f"Nothing was touched: its last runs did not help. {_CLOSE}",
    (RunState.REFUSED, "storm"): (
        "Nothing was touched: this many alerts mean an outage, not one fault. Look for what they have in common."
    ),
    (RunState.REFUSED, "stale"): "Nothing was touched. Check whether Alertmanager still reaches the remediator.",
    (RunState.REFUSED, "max_items"): (
        "Nothing was touched: there are more items than one run may touch. Find out why, then follow the runbook."
    ),
    (RunState.REFUSED, "max_share"): (
        "Nothing was touched: the items are too large a share of all. Find out why, then follow the runbook."
    ),
    (RunState.REFUSED, "blocked_by_alert"): "Nothing was touched. Fix the cause of these alerts first.",
    (RunState.REFUSED, "requires"): "Nothing was touched: a restart would not help. Fix the required target first.",
    (RunState.REFUSED, "deploy"): (
        "Nothing was touched. When the deploy or migration is done, report it: runbookctl deploy {stack} --done"
    ),
    (RunState.REFUSED, "backup_running"): "Nothing was touched: a backup is running. Wait for its end.",
    (RunState.REFUSED, "role_too_wide"): (
        "Nothing was touched: its role may do more than vacuum. Correct the role's rights, or set mode: approve."
    ),
    (RunState.REFUSED, "unknown_target"): "Nothing was touched. Correct the alert's labels, or the inventory.",
    (RunState.FAILED, "target_unreachable"): (
        "Nothing was touched: the target could not be read. Check that it answers; for missing rights, run"
        " runbookctl doctor"
    ),
    (RunState.FAILED, "internal_error"): "Nothing was touched. This is a bug in the remediator: see its log.",
    (RunState.REJECTED, "same_items"): (
        "Nothing was touched: an operator has rejected exactly these items; you are asked again when they change."
    ),
    (RunState.NOTHING_TO_DO, ""): "Nothing: there was nothing to touch.",
    (RunState.NOTHING_TO_DO, "changed_since_planned"): "Nothing: none of the items was still as planned.",
    (
        RunState.NOTHING_TO_DO,
        "backup_running",
    ): "Nothing: a backup is running. The alert's next delivery makes a new plan.",
    (RunState.NOTHING_TO_DO, "stopped_by_hand"): (
        "Nothing was touched: its manager says that it was stopped on purpose. To start it again, do so yourself."
    ),
    (RunState.NOTHING_TO_DO, "restarts_itself"): (
        "Nothing was touched: its manager is restarting it already. Read its log for why it ends."
    ),
    (RunState.NOTHING_TO_DO, "recently_started"): (
        "Nothing was touched: it has started a moment ago, so another restart would not help. Read its log."
    ),
    (RunState.NOTHING_TO_DO, "not_running"): "Nothing was touched: the service does not run, so it cannot be scaled.",
    (RunState.NOTHING_TO_DO, "at_the_maximum"): (
        "Nothing was touched: workers.max instances run already. Find out why they do not suffice."
    ),
    (RunState.NOTHING_TO_DO, "at_the_minimum"): "Nothing was touched: workers.min instances run already.",
    (RunState.NOTHING_TO_DO, "waits_for_lock"): (
        "Nothing was touched: these queries only wait for a lock. See blockers in the run for the session that holds"
        " it, then follow the runbook."
    ),
    (RunState.NOTHING_TO_DO, "waits_for_standby"): (
        "Nothing was touched: these commits wait for a synchronous standby. Check that it answers."
    ),
    (RunState.NOTHING_TO_DO, "other_command"): (
        "Nothing was touched: what the long statements do is not known to be safe to cancel. Look at them by hand."
    ),
    (RunState.NOTHING_TO_DO, "too_large"): (
        "Nothing was touched: only tables, jobs or files above the size limit are left. Treat them by hand."
    ),
    (RunState.NOTHING_TO_DO, "queue_paused"): (
        "Nothing was touched: workers take no jobs from a paused queue. Resume the queue; the alert's next delivery"
        " makes a new plan."
    ),
    (RunState.NOTHING_TO_DO, "retried_twice"): (
        "Nothing was touched: these jobs failed again after each of two retries. Follow the runbook to fix or remove"
        " them."
    ),
    (RunState.NOTHING_TO_DO, "given_up"): (
        "Nothing was touched: the application gave these jobs up for good. Fix or remove them in the application."
    ),
    (RunState.NOTHING_TO_DO, "stalled"): (
        "Nothing was touched: these jobs stalled more often than allowed, so they may end a worker. Check its memory"
        " and its log before you retry one."
    ),
    (RunState.NOTHING_TO_DO, "too_old"): (
        "Nothing was touched: these jobs are older than younger_than. Retry or remove them in the application."
    ),
}


# No delivery follows a run that an operator started, or that ends an earlier one.
_WITHOUT_AN_ALERT = {
    RunState.DEFERRED: "Deferred until the bound clears. Expires after one hour.",
    RunState.FAILED: "Nothing was applied. Fix the cause, then start it again.",
    RunState.INTERRUPTED: "It was stopped between two effects. Check the target, then start it again.",
    RunState.EXPIRED: "It waited too long and expired. Nothing was touched. Start it again when the bound allows it.",
}


def what_next(run: Run) -> str:
    """Return the advice on `run` in a sentence or two, with the commands to copy."""
    if run.is_about_an_alert and run.state in _READING:
        return "No remediation repairs this. Follow the runbook; the alert names the first commands."
    if not run.answers_an_alert and run.state in _WITHOUT_AN_ALERT:
        return _WITHOUT_AN_ALERT[run.state].format(undoes=run.undoes)
    advice = _BY_REASON.get((run.state, run.reason)) or _BY_STATE[run.state]
    return advice.format(
        approve=f"runbookctl approve {run.id}",
        reject=f"runbookctl reject {run.id}",
        until=f"{run.expires_at:%H:%M} UTC" if run.expires_at else "it expires",
        close=shlex.join(["runbookctl", "breaker", "close", run.remediation, run.target]),
        stack=shlex.quote(run.stack),
        resume=shlex.join(["runbookctl", "resume", "--stack", run.stack]),
    )
