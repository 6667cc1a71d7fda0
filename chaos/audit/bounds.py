"""The rules about bounds, recomputed from the rows without the remediator's own code."""

from collections.abc import Sequence

from chaos.audit.evidence import Evidence
from chaos.audit.ledger_copy import RunCopy
from remediator.model.run_state import ACTIVE, RunState

HOUR = 3600.0
_STATES, _ACTIVE = {str(state) for state in RunState}, {str(state) for state in ACTIVE}


def no_rate_is_passed(evidence: Evidence) -> Sequence[str]:
    """Count the admissions of every hour by the true clock, which the replicas may not have had."""
    findings = []
    for stack, remediation, most in evidence.bounds.rates:
        runs = [run for run in evidence.ledger.runs if (run.stack, run.remediation) == (stack, remediation)]
        moments = [_admitted_at(evidence, run) for run in runs if run.admitted_at is not None]
        admissions = max((sum(end - HOUR < each <= end for each in moments) for end in moments), default=0)
        if admissions > most:
            findings.append(f"{stack} {remediation}: {admissions} admissions in an hour; at most {most} are allowed")
    return findings


def _admitted_at(evidence: Evidence, run: RunCopy) -> float:
    own = run.admitted_at.timestamp() if run.admitted_at is not None else 0.0
    return evidence.admitted_at.get(run.id, own)


def no_plan_is_too_large(evidence: Evidence) -> Sequence[str]:
    """Compare the size of every admitted plan with max_items."""
    most = evidence.bounds.max_items
    return [
        f"run {run.id}: {run.remediation} was admitted with {run.found} items; {most[run.remediation]} are allowed"
        for run in evidence.ledger.runs
        if run.admitted_at is not None and (run.found or 0) > most.get(run.remediation, run.found or 0)
    ]


def no_more_runs_at_once(evidence: Evidence) -> Sequence[str]:
    """Replay the trail, whose order no clock can change, and count the runs under way."""
    active: set[int] = set()
    for row in evidence.ledger.trail:
        if row.run is not None and row.event in _STATES:
            (active.add if row.event in _ACTIVE else active.discard)(row.run)
        if len(active) > evidence.bounds.concurrency:
            runs = ", ".join(map(str, sorted(active)))
            return [f"{len(active)} runs at once (runs {runs}); at most {evidence.bounds.concurrency} are allowed"]
    return []
