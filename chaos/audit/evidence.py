"""The evidence of a run of chaos. Times are true ones, of the machine's own clock, in seconds since 1970."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from chaos.audit.ledger_copy import LedgerCopy


@dataclass(frozen=True)
class Bounds:
    """The bounds of the inventory that runs may not pass; a rate is (stack, remediation, admissions in an hour)."""

    concurrency: int
    rates: Sequence[tuple[str, str, int]]
    max_items: Mapping[str, int]


@dataclass(frozen=True)
class AcceptedDelivery:
    """A delivery that a replica answered with 200: from here on, its sender no longer cares for it."""

    at: float
    sender: str
    replica: int
    digest: str


@dataclass(frozen=True)
class Effect:
    """An effect as its target recorded it; `key` is what it touched."""

    at: float
    remediation: str
    key: str


@dataclass(frozen=True)
class LeaderSample:
    """The lease as the database had it at `at`, with the newest row of the trail; `server` counts the failovers."""

    at: float
    server: int
    newest_row: int
    term: int
    holder: str | None
    elected_at: float
    expires_at: float


@dataclass(frozen=True)
class DoubleLeader:
    """Replicas that said at `at`, and a second before it, that they lead."""

    at: float
    replicas: str


@dataclass(frozen=True)
class LostLeader:
    """A fault that ended the leader of `term`, or cut it off, at `at`."""

    at: float
    fault: str
    term: int


@dataclass(frozen=True)
class Failover:
    """A failover at `at`: the ledger that was abandoned, and the older one that took its place."""

    at: float
    abandoned: LedgerCopy
    promoted: LedgerCopy

    @property
    def lost_rows(self) -> int:
        """The number of rows of the audit trail that the promoted ledger lacks."""
        return len(self.abandoned.trail) - len(self.promoted.trail)


@dataclass(frozen=True)
class Evidence:
    """All that the rules judge."""

    bounds: Bounds
    ledger: LedgerCopy
    accepted: Sequence[AcceptedDelivery] = ()
    effects: Sequence[Effect] = ()
    ended_otherwise: Collection[str] = ()
    """Keys of sessions that ended by themselves, or with their server."""
    samples: Sequence[LeaderSample] = ()
    admitted_at: Mapping[int, float] = field(default_factory=dict)
    """The true time of each admission, by its run."""
    failovers: Sequence[Failover] = ()
    lifted_at: Sequence[float] = ()
    """When chaos' operator lifted the pause of the ledger."""
    lost_leaders: Sequence[LostLeader] = ()
    outages: Sequence[tuple[float, float]] = ()
    """When no replica could reach the ledger: nobody can take over then."""
    double_leaders: Sequence[DoubleLeader] = ()
    restarts: int = 0
    """How often a replica ended by itself, and was started again."""
    fixed_after: float | None = None
    """How long the last incident took, after all faults; None if it was never fixed."""
