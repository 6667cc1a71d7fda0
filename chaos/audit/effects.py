"""The rules about effects: each has exactly one claim, and none comes from a term that had ended."""

from collections import Counter
from collections.abc import Mapping, Sequence

from chaos.audit.claims import APPLIED, Claim, EffectKey, claims_by_key
from chaos.audit.evidence import Evidence, Failover, LeaderSample

IN_FLIGHT_SECONDS = 2.0
"""An effect that was sent before a later election may arrive so much after it."""


def every_effect_has_one_claim(evidence: Evidence) -> Sequence[str]:
    """Compare the effects that the targets recorded with those that the ledgers have as applied or unknown."""
    claims = claims_by_key(evidence)
    happened = Counter((each.remediation, each.key) for each in evidence.effects)
    problems = ((key, _problem(evidence, key, happened[key], claims.get(key, ()))) for key in {*claims, *happened})
    return sorted(f"{' '.join(key)}: {problem}" for key, problem in problems if problem)


def _problem(evidence: Evidence, key: EffectKey, happened: int, claims: Sequence[Claim]) -> str:
    applied = sum(claim.state == APPLIED for claim in claims)
    runs = f"runs {', '.join(str(claim.run) for claim in claims) or 'none'}"
    if happened > len(claims):
        kind = "doubled" if claims else "unclaimed"
        return f"{kind}: it happened {happened} times, and the ledger has it {len(claims)} times ({runs})"
    if happened < applied and key[1] not in evidence.ended_otherwise:
        return f"claimed: the ledger has it as applied {applied} times, and it happened {happened} times ({runs})"
    return ""


def no_effect_of_a_stale_term(evidence: Evidence) -> Sequence[str]:
    """Compare the time of each effect with the election that followed its intent."""
    findings = []
    claims, moments = claims_by_key(evidence), _moments(evidence)
    for key, times in moments.items():
        for claim, at in zip(claims.get(key, ()), times, strict=False):
            later = _later_election(evidence.samples, claim)
            if later is not None and at > later.elected_at + IN_FLIGHT_SECONDS:
                late = at - later.elected_at
                findings.append(f"run {claim.run}: {' '.join(key)} happened {late:.1f} s after term {later.term} began")
    return findings


def _moments(evidence: Evidence) -> Mapping[EffectKey, Sequence[float]]:
    moments: dict[EffectKey, list[float]] = {}
    for effect in sorted(evidence.effects, key=lambda each: each.at):
        moments.setdefault((effect.remediation, effect.key), []).append(effect.at)
    return moments


def _later_election(samples: Sequence[LeaderSample], claim: Claim) -> LeaderSample | None:
    """Return the first sample of an election after the claim's intent; a term without a holder was only ended.

    The intent belongs to the term of the first sample that has its row, or to an earlier one.
    """
    seen = [each for each in samples if each.server == claim.server and each.newest_row >= claim.intended]
    return next((each for each in seen if each.term > seen[0].term and each.holder is not None), None)


def a_failover_pauses(evidence: Evidence) -> Sequence[str]:
    """Look for effects between a failover that lost rows, and the operator who lifted the pause."""
    return [
        problem
        for failover in evidence.failovers
        if failover.lost_rows > 0 and (problem := _unpaused(evidence, failover))
    ]


def _unpaused(evidence: Evidence, failover: Failover) -> str:
    what = f"the failover at {failover.at:.1f} lost {failover.lost_rows} rows"
    lifted_at = next((each for each in evidence.lifted_at if each > failover.at), None)
    if lifted_at is None:
        return f"{what}, and no remediator was paused by it"
    early = [each for each in evidence.effects if failover.at + IN_FLIGHT_SECONDS < each.at < lifted_at]
    return f"{what}, and {len(early)} effects happened before an operator lifted the pause" if early else ""
