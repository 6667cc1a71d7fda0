"""The contract of a remediation: sessions that plan, apply, resolve and verify.

The engine makes every decision (bounds, order, record, time of verification); a remediation knows one kind of target
and never logs, retries or counts.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol

from remediator.model.act_words import ActWords
from remediator.model.parameters import Parameter, Value
from remediator.model.permanent_fix import Cause, Fix
from runbookd.inventory import RemediationSettings, Stack

# "stack": the whole stack, for any target in the alert
TargetKind = Literal["postgres", "queues", "backups", "commands", "services", "folders", "redis", "stack"]
# The bounds that apply only to remediations that declare them.
DeclaredBound = Literal["requires", "deploy", "backup_running"]
# The cause of a run: an alert, an operator, or the end of an earlier run's effects, which it undoes.
Trigger = Literal["alert", "operator", "end"]
Identity = Mapping[str, str | int | float | None]


class ItemState(StrEnum):
    """The state of one item; INTENDED is committed before the effect."""

    PLANNED = "planned"
    INTENDED = "intended"
    APPLIED = "applied"
    SKIPPED = "skipped"  # its identity had changed, so it was not touched
    NOT_APPLIED = "not_applied"  # a later lookup showed that the effect did not happen
    FAILED = "failed"  # the target refused
    UNKNOWN = "unknown"  # the remediator cannot tell; an operator must check


@dataclass(frozen=True)
class Item:
    """One thing that a run would touch.

    The acting statement checks `identity` (JSON scalars) again; `evidence` describes the item to an operator, without
    secrets or personal data.
    """

    identity: Identity
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The items that the remediation would touch now, oldest first.

    `found` is the total number, which `max_items` limits; `items` may omit those beyond every bound. `population`, if
    known, is the number that `max_share` is a fraction of (client backends, jobs). `empty_reason` is the word with
    which the run ends `nothing_to_do` although something is wrong. `finds_faults`: the reading shows what is wrong, and
    not only what would be done.
    """

    items: tuple[Item, ...]
    found: int
    population: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    empty_reason: str = ""
    finds_faults: bool = True


@dataclass(frozen=True)
class EffectOutcome:
    """The outcome of one item; `detail` is one line for the operator."""

    state: ItemState
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """The result of repeating the reading that made the plan, and what it showed."""

    clean: bool
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetName:
    """The name of a target in the inventory; for queues, with the queue."""

    stack: str
    kind: TargetKind
    name: str
    queue: str | None = None

    def __str__(self) -> str:
        parts = (self.stack, self.kind, self.name, self.queue)
        return "/".join(part for part in parts if part is not None)


@dataclass(frozen=True)
class Scope:
    """The input of a remediation: the stack, the target, the settings and the run.

    `touched_items` are the identities that earlier runs of this remediation may have touched on this target within
    its `lookback`; an item touched twice is listed twice. `parameters` are an operator's values, typed; an alert sets
    none.

    `undoes` are the applied items of an earlier run if this run undoes it: then `plan` returns what restores them,
    `apply` restores it, and `verify` proves it.
    """

    stack: Stack
    target: TargetName
    settings: RemediationSettings
    run: str
    touched_items: Sequence[Identity] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    undoes: Sequence[Item] | None = None
    trigger: Trigger = "alert"

    def at(self, kind: TargetKind, name: str) -> "Scope":
        """Return the same scope at another target of the stack, to read it."""
        return replace(self, target=TargetName(self.target.stack, kind, name))


@dataclass(frozen=True)
class Undo:
    """Whether the effects of a remediation can be undone, and one sentence for the operator that says how.

    `exact`: a run of its own restores what was there before; `partial` and `none`: no run undoes them.
    """

    kind: Literal["exact", "partial", "none"]
    sentence: str


@dataclass(frozen=True)
class PastSize:
    """How the size of a plan is known afterwards: always `items`, or by queries of the exporter's series.

    The queries return one number per stack and target, for queues also per queue. `note` says how the number differs
    from that of a plan.
    """

    items: int | None = None
    found: str = ""
    population: str = ""
    note: str = ""


@dataclass(frozen=True)
class Needs:
    """The keys of a target without which a remediation could never act on it, and whether one of a stack has them."""

    given: Callable[[Stack, str], bool]
    keys: str


ONE_ITEM = PastSize(items=1)


@dataclass(frozen=True)
class UndoWhen:
    """The moment at which the engine undoes a succeeded run: `after` its end, or if None once its episode is over."""

    after: timedelta | None = None


def never(_: Scope) -> UndoWhen | None:
    """Leave the effects: only an operator undoes them."""
    return None


@dataclass(frozen=True)
class PermanentFix:
    """The end for good of a problem that a remediation repairs again and again, for operators to apply.

    `names` and `traits` are the values of its items (identity or evidence) that tell what causes it. Names are shown as
    they are, because the text quotes them; likely secrets and personal data in the others are masked. `numbers` are
    values whose least ones the text needs. `write` makes the text from the causes, the most frequent first; there are
    none if the ledger recorded none. From `after` times within a week the problem counts as recurring: twice may be
    chance, or a deploy and its repair. With `by_hand` no alert starts it, so the runs that operators start count.
    """

    write: Callable[[Scope, Sequence[Cause]], Fix]
    names: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    after: int = 3
    by_hand: bool = False


class RemediationSession(Protocol):
    """A remediation connected to one target. Every method may raise TargetUnreachable."""

    @property
    def effect_timeout(self) -> timedelta:
        """The time after which the engine stops waiting for `apply` and looks up its outcome."""

    async def plan(self) -> Plan:
        """Read which items a run would touch now. Changes nothing."""

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """Touch `items` as one effect, each if its identity still holds; return their outcomes.

        The intent is already durable. The engine calls this at most once per item, ever.
        """

    async def resolve_outcome(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        """Look up, read-only, each item of an interrupted effect: APPLIED, NOT_APPLIED or UNKNOWN."""

    async def verify(self, items: Sequence[Item]) -> Verdict:
        """Repeat the reading that made the plan. Changes nothing."""


@dataclass(frozen=True)
class Declaration:
    """The parameters and the undo of a remediation on one target."""

    parameters: Mapping[str, Parameter]
    undo: Undo


@dataclass(frozen=True)
class Remediation:
    """One kind of fix.

    `keys` are the optional settings it uses; `one_effect` applies all items of a run in one call; `lookback` limits
    the age of `Scope.touched_items`. `auto_needs` are the settings without which mode auto is refused; with
    `never_auto` it always is.
    `reads_only`: it reads for alerts that nothing repairs. Each alert name of a stack is an episode of its own, no
    bound but the mode applies to it, and no bound counts it.

    `parameters` are those that an operator may set. `only_adds`: it only adds or reads, so an operator may start it in
    a freeze. `undo_when` returns when the engine undoes a succeeded run by itself; only for an exact `undo`.
    `declare` returns the parameters and the undo of one target, where the inventory says what a target is. `refused_by`
    are the bounds that apply to it besides those of all. `permanent_fix` is what an operator can do instead.
    `words` are those of its button, `needs` what it needs of its target besides the rights on that kind of target.
    `past_size` tells a replay how large a plan was; without it, the size is unknown.
    """

    name: str
    kind: TargetKind
    keys: frozenset[str]
    max_items: int
    one_effect: bool
    open: Callable[[Scope], AbstractAsyncContextManager[RemediationSession]]
    undo: Undo
    lookback: timedelta = timedelta(0)
    auto_needs: frozenset[str] = frozenset()
    never_auto: bool = False
    reads_only: bool = False
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    only_adds: bool = False
    undo_when: Callable[[Scope], UndoWhen | None] = never
    declare: Callable[[Stack, TargetName], Declaration] | None = None
    refused_by: frozenset[DeclaredBound] = frozenset()
    permanent_fix: PermanentFix = field(kw_only=True)
    past_size: PastSize | None = None
    words: ActWords | None = None
    needs: Needs | None = None

    def declared_for(self, stack: Stack, target: TargetName) -> Declaration:
        """Return the parameters and the undo of this remediation on `target`."""
        return Declaration(self.parameters, self.undo) if self.declare is None else self.declare(stack, target)

    def __post_init__(self) -> None:
        """Reject an end for effects that cannot be undone."""
        if self.undo_when is not never and self.undo.kind != "exact":
            raise AssertionError(f"{self.name}: undo_when needs an exact undo")
