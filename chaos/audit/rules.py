"""The rules by name. Each returns its findings, one line each."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from chaos.audit.bounds import no_more_runs_at_once, no_plan_is_too_large, no_rate_is_passed
from chaos.audit.effects import a_failover_pauses, every_effect_has_one_claim, no_effect_of_a_stale_term
from chaos.audit.evidence import Evidence
from chaos.audit.leadership import one_replica_leads, take_overs_are_quick, terms_only_rise
from chaos.audit.ledger_copy import LedgerCopy
from remediator.model.run_state import ACTIVE

FIXED_WITHIN_SECONDS = 90.0
_UNFINISHED = {str(state) for state in ACTIVE}
Rule = Callable[[Evidence], Sequence[str]]


def lost_deliveries(evidence: Evidence) -> Counter[str]:
    """Return the deliveries, by their digests, that failovers have lost."""
    lost: Counter[str] = Counter()
    for failover in evidence.failovers:
        lost += failover.abandoned.deliveries - failover.promoted.deliveries
    return lost


def every_accepted_delivery_is_kept(evidence: Evidence) -> Sequence[str]:
    """Compare the answers that senders got with the rows, which may be more: a sender may have missed its answer."""
    accepted = Counter([each.digest for each in evidence.accepted])
    missing = accepted - evidence.ledger.deliveries - lost_deliveries(evidence)
    first = {each.digest: each for each in reversed(evidence.accepted)}
    return [
        f"{first[digest].sender} got 200 from replica {first[digest].replica} at {first[digest].at:.1f}:"
        f" {count} rows are missing (sha256 {digest[:12]})"
        for digest, count in missing.items()
    ]


def trails_are_proven(evidence: Evidence) -> Sequence[str]:
    """Verify the trail of the ledger and of every abandoned one, and that each continues the one before it."""
    ledgers = [*(failover.abandoned for failover in evidence.failovers), evidence.ledger]
    broken = [f"broken at row {each.proof.first_break}: {each.proof.why}" for each in ledgers if each.proof.why]
    for failover, later in zip(evidence.failovers, ledgers[1:], strict=True):
        kept = _hashes(failover.promoted)
        if _hashes(later)[: len(kept)] != kept:
            broken.append(f"rows from before the failover at {failover.at:.1f} have changed")
    return broken


def _hashes(ledger: LedgerCopy) -> Sequence[str]:
    return [row.hash for row in ledger.trail]


def the_loop_is_healthy(evidence: Evidence) -> Sequence[str]:
    """Report a last incident that was not fixed in time, after all faults had stopped, and what is left over."""
    findings = []
    if evidence.fixed_after is None or evidence.fixed_after > FIXED_WITHIN_SECONDS:
        findings.append(f"the last incident, after all faults, was not fixed within {FIXED_WITHIN_SECONDS:.0f} s")
    if evidence.ledger.unprocessed:
        findings.append(f"{evidence.ledger.unprocessed} deliveries were accepted and never processed")
    if unfinished := [run.id for run in evidence.ledger.runs if run.state in _UNFINISHED]:
        findings.append(f"runs that nobody drives: {', '.join(map(str, unfinished))}")
    return findings


RULES: Mapping[str, Rule] = {
    "no accepted delivery lost": every_accepted_delivery_is_kept,
    "no effect doubled": every_effect_has_one_claim,
    "no rate passed": no_rate_is_passed,
    "no plan too large": no_plan_is_too_large,
    "no more runs at once than allowed": no_more_runs_at_once,
    "audit chain proven": trails_are_proven,
    "terms only rise": terms_only_rise,
    "no effect of a stale term": no_effect_of_a_stale_term,
    "one replica leads": one_replica_leads,
    "take-overs in time": take_overs_are_quick,
    "failovers pause": a_failover_pauses,
    "the loop is healthy": the_loop_is_healthy,
}


def judge(evidence: Evidence) -> Mapping[str, Sequence[str]]:
    """Return the findings by the names of the rules."""
    return {name: rule(evidence) for name, rule in RULES.items()}
