"""The verdict of a run: a few lines for people, and a report in JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chaos.audit.claims import claims_by_key
from chaos.audit.evidence import Evidence
from chaos.audit.leadership import take_overs
from chaos.audit.rules import judge, lost_deliveries
from chaos.schedule import Step

SHOWN_FINDINGS = 5


@dataclass(frozen=True)
class Verdict:
    """The findings of a run by the names of the rules, and its counts."""

    seed: int
    findings: Mapping[str, Sequence[str]]
    counts: Mapping[str, Any]
    evidence: Mapping[str, Any]

    @classmethod
    def of(cls, seed: int, evidence: Evidence, faults: Counter[str]) -> "Verdict":
        """Judge the evidence."""
        return cls(seed, judge(evidence), _counts(evidence, faults), _shown(evidence))

    @property
    def failed(self) -> bool:
        """Whether a rule has a finding."""
        return any(self.findings.values())

    def lines(self) -> Sequence[str]:
        """Return the verdict for people."""
        counts = self.counts
        longest = counts["longest_take_over"]
        effects = ", ".join(f"{count} {name}" for name, count in sorted(counts["effects"].items()))
        lines = [
            f"{sum(counts['faults'].values())} faults of {len(counts['faults'])} kinds; seed {self.seed}",
            f"{counts['deliveries']} deliveries accepted; {counts['deliveries_lost']} lost by failovers, as documented",
            f"{counts['runs']} runs, {counts['admitted']} admitted; effects: {effects or 'none'}",
            f"{counts['take_overs']} take-overs, the longest {longest:.1f} s; {counts['term']} terms",
            f"{counts['restarts']} restarts by the service manager, of replicas that ended by themselves",
            f"{counts['failovers']} failovers lost {counts['rows_lost']} rows of the audit trail",
        ]
        passed = [f"ok      {name}" for name, findings in self.findings.items() if not findings]
        failed = [line for name, findings in self.findings.items() for line in _failures(name, findings)]
        return [*lines, *passed, *failed]

    def report(self, steps: Sequence[Step]) -> Mapping[str, Any]:
        """Return the report as JSON."""
        planned = [asdict(step) for step in steps]
        return {"passed": not self.failed, **asdict(self), "schedule": planned}


def _failures(name: str, findings: Sequence[str]) -> Sequence[str]:
    """Return the first findings of a rule; the report has all."""
    more = [f"FAILED  {name}: {len(findings) - SHOWN_FINDINGS} more, in the report"]
    return [f"FAILED  {name}: {each}" for each in findings[:SHOWN_FINDINGS]] + more * (len(findings) > SHOWN_FINDINGS)


def _counts(evidence: Evidence, faults: Counter[str]) -> Mapping[str, Any]:
    seconds = [each.seconds for each in take_overs(evidence)]
    return {
        "faults": dict(faults),
        "deliveries": len(evidence.accepted),
        "deliveries_lost": lost_deliveries(evidence).total(),
        "runs": len(evidence.ledger.runs),
        "admitted": sum(run.admitted_at is not None for run in evidence.ledger.runs),
        "states": dict(Counter(run.state for run in evidence.ledger.runs)),
        "effects": dict(Counter(effect.remediation for effect in evidence.effects)),
        "claims": sum(map(len, claims_by_key(evidence).values())),
        "take_overs": len(seconds),
        "longest_take_over": max(seconds, default=0.0),
        "term": max((sample.term for sample in evidence.samples), default=0),
        "failovers": len(evidence.failovers),
        "rows_lost": sum(failover.lost_rows for failover in evidence.failovers),
        "restarts": evidence.restarts,
        "fixed_after": evidence.fixed_after,
    }


def _shown(evidence: Evidence) -> Mapping[str, Any]:
    """Return the evidence of a finding: the rows and records that the rules compared."""
    elections = {(each.server, each.term): each for each in reversed(evidence.samples)}
    return {
        "runs": [asdict(run) for run in evidence.ledger.runs if run.admitted_at is not None],
        "items": [asdict(item) for item in evidence.ledger.items if item.intended_at is not None],
        "effects": [asdict(effect) for effect in evidence.effects],
        "elections": [asdict(each) for each in reversed(elections.values())],
        "lost_leaders": [asdict(each) for each in evidence.lost_leaders],
        "outages": evidence.outages,
        "lifted_at": evidence.lifted_at,
        "failovers": [{"at": each.at, "lost_rows": each.lost_rows} for each in evidence.failovers],
    }
