"""The rules about terms: they only rise, one replica leads, and a lost leader is replaced in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from chaos.audit.evidence import Evidence, LeaderSample, LostLeader

ALLOWED_SECONDS = 17.0
"""The 15 s of a take-over, and the time that a busy machine and the sampling add."""
AFTER_FAILOVER_SECONDS = 20.0
"""The failover itself, and the lease of the leader that has lost its renewals."""
_RENEWED_SECONDS = 1.0


@dataclass(frozen=True)
class TakeOver:
    """The loss of a leader, and how long the ledger that answered had none."""

    lost: LostLeader
    seconds: float


def terms_only_rise(evidence: Evidence) -> Sequence[str]:
    """Compare the samples of the lease: no term falls on one server, and none ever has two holders."""
    fallen = [
        f"the term fell from {earlier.term} to {later.term} at {later.at:.1f}"
        for earlier, later in pairwise(evidence.samples)
        if later.server == earlier.server and later.term < earlier.term
    ]
    holders: dict[tuple[int, int], list[str]] = {}
    for each in evidence.samples:
        known = holders.setdefault((each.server, each.term), [])
        if each.holder is not None and each.holder not in known:
            known.append(each.holder)
    return fallen + [
        f"term {term} had {len(known)} holders: {'; '.join(known)}"
        for (_, term), known in holders.items()
        if len(known) > 1
    ]


def one_replica_leads(evidence: Evidence) -> Sequence[str]:
    """Report replicas that said at the same time that they lead, more often than a take-over explains.

    A failover loses renewals, and ends terms of leaders that do not know it yet: such a leader trusts its lease until
    its end. It can write nothing, and the rules about effects judge what it does.
    """
    return [
        f"{each.replicas} said at {each.at:.1f} that they lead"
        for each in evidence.double_leaders
        if not any(0 <= each.at - failover.at < AFTER_FAILOVER_SECONDS for failover in evidence.failovers)
    ]


def take_overs_are_quick(evidence: Evidence) -> Sequence[str]:
    """Measure how long the ledger had no leader after each loss of one."""
    return [
        f"{each.seconds:.1f} s without a leader after: {each.lost.fault}; {ALLOWED_SECONDS:.0f} s are allowed"
        for each in take_overs(evidence)
        if each.seconds > ALLOWED_SECONDS
    ]


def take_overs(evidence: Evidence) -> Sequence[TakeOver]:
    """Return the losses after which another term began, without the time in which nobody could reach the ledger."""
    found = []
    for lost in evidence.lost_leaders:
        successor = _successor(evidence.samples, lost)
        if successor is not None:
            outage = sum(_overlap(lost.at, successor.elected_at, *outage) for outage in evidence.outages)
            found.append(TakeOver(lost, max(0.0, successor.elected_at - lost.at - outage)))
    return found


def _successor(samples: Sequence[LeaderSample], lost: LostLeader) -> LeaderSample | None:
    """Return the first sample of a later term; none if the leader itself has renewed its lease after all."""
    later = [each for each in samples if each.at > lost.at]
    for earlier, each in pairwise(later):
        if each.elected_at > lost.at:
            return each
        if each.at > lost.at + _RENEWED_SECONDS and each.expires_at > earlier.expires_at and each.term == lost.term:
            return None
    return None


def _overlap(begin: float, end: float, other_begin: float, other_end: float) -> float:
    return max(0.0, min(end, other_end) - max(begin, other_begin))
