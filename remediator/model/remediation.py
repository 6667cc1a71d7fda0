"""What a remediation is to the engine: a name, and sessions that plan, apply, resolve outcomes and verify.

The engine owns every decision (bounds, order, record, verification in time); a remediation only knows one kind of
target. It never logs, retries or counts.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol

from runbookd.inventory import RemediationSettings, Stack

TargetKind = Literal["postgres", "queues", "backups", "stack"]  # "stack": all of it, whatever target an alert names


Identity = Mapping[str, str | int | float | None]


class ItemState(StrEnum):
    """Where one item of a run stands. INTENDED is committed before the effect; the rest after it."""

    PLANNED = "planned"
    INTENDED = "intended"
    APPLIED = "applied"
    SKIPPED = "skipped"  # its identity had changed, so it was left alone
    NOT_APPLIED = "not_applied"  # looked up afterwards: the effect did not happen
    FAILED = "failed"  # the target refused
    UNKNOWN = "unknown"  # nobody can tell; a person must look


@dataclass(frozen=True)
class Item:
    """One thing that would be touched.

    `identity` is what the acting statement checks again (JSON scalars); `evidence` is what a person wants to see of
    it, without secrets or personal data.
    """

    identity: Identity
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What the remediation would touch now, oldest first.

    `found` is how many there are in all, which `max_items` judges; `items` may leave out those past every bound.
    `population` is the number that `max_share` is a fraction of (client backends, jobs), or None. `empty_reason` says
    in one word why nothing is to be touched although something is wrong; the run then ends `nothing_to_do` with it.
    """

    items: tuple[Item, ...]
    found: int
    population: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    empty_reason: str = ""


@dataclass(frozen=True)
class EffectOutcome:
    """What became of one item; `detail` is one line for people."""

    state: ItemState
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether the reading that made the plan is clean again, and what was seen."""

    clean: bool
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetName:
    """One target of the inventory, and for queues the queue."""

    stack: str
    kind: TargetKind
    name: str
    queue: str | None = None

    def __str__(self) -> str:
        parts = (self.stack, self.kind, self.name, self.queue)
        return "/".join(part for part in parts if part is not None)


@dataclass(frozen=True)
class Scope:
    """All that a remediation may know: the stack's inventory, the target, how far it may go, and the run's id.

    `touched_items` are the identities that earlier runs of this remediation on this target may have touched, within
    the `lookback` of the remediation; the same one as often as it was.
    """

    stack: Stack
    target: TargetName
    settings: RemediationSettings
    run: str
    touched_items: Sequence[Identity] = ()


class RemediationSession(Protocol):
    """A remediation connected to one target. Every method may raise TargetUnreachable."""

    @property
    def effect_timeout(self) -> timedelta:
        """How long one `apply` may take before its outcome is looked up instead."""

    async def plan(self) -> Plan:
        """Read what would be touched now. Changes nothing."""

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """Touch `items` as one effect, each only if its identity still holds; one outcome an item, in order.

        The intended record is already durable. It is called at most once for an item, ever.
        """

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """Find out, read-only, what became of an interrupted effect: APPLIED, NOT_APPLIED or UNKNOWN for each item."""

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """Take the reading that made the plan once more. Changes nothing."""


@dataclass(frozen=True)
class Remediation:
    """One kind of fix.

    `keys` are the optional settings it uses; `one_effect` puts all items of a run into one; `lookback` is how far back
    it wants to know what its runs have touched.
    """

    name: str
    kind: TargetKind
    keys: frozenset[str]
    max_items: int
    one_effect: bool
    open: Callable[[Scope], AbstractAsyncContextManager[RemediationSession]]
    lookback: timedelta = timedelta(0)
