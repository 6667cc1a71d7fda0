"""The report of a period: what runbookd did, what it left alone and why, and what may be trusted with more.

A run counts where it ended, an episode where it ended, with its whole duration: each belongs to exactly one of two
periods that follow each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from remediator.reports.needless import Needless
from remediator.reports.readiness import Readiness
from remediator.reports.recurring import RecurringProblem
from remediator.reports.spread import Spread

APPROVAL = "approval"
"""The reason of a wait for an operator."""


@dataclass(frozen=True)
class Period:
    """The period, of one stack or of all. `since` is later than `asked_since` if the ledger has too many rows.

    `known_since` is the moment of the ledger's first entry; None if it has none.
    """

    since: datetime
    until: datetime
    asked_since: datetime
    known_since: datetime | None
    stack: str | None = None

    @property
    def is_cut(self) -> bool:
        """Whether it covers less than it was asked for."""
        return self.since > self.asked_since


@dataclass(frozen=True)
class Done:
    """The runs of one remediation that touched something, by how they ended, and their items."""

    stack: str
    remediation: str
    runs: int
    ends: Mapping[RunState, int]
    items: Mapping[ItemState, int]
    last_run: int

    @property
    def succeeded(self) -> int:
        """The runs that proved their success."""
        return self.ends.get(RunState.SUCCEEDED, 0)


@dataclass(frozen=True)
class Refused:
    """The runs of one remediation that one reason stopped; `sentence` is that of the last one, with its numbers."""

    stack: str
    remediation: str
    reason: str
    sentence: str
    alerts: int
    runs: int
    last_run: int


@dataclass(frozen=True)
class Waited:
    """The waits of one remediation for one bound, or for an approval; `still` of the runs wait now."""

    stack: str
    remediation: str
    reason: str
    runs: int
    waits: Spread
    still: int


@dataclass(frozen=True)
class Times:
    """From the start of the alert: to the proof of a fix, or to its end by other hands or by itself."""

    stack: str
    remediation: str
    fixed: Spread
    in_hand: Spread
    untouched: Spread


@dataclass(frozen=True)
class NeedlessRuns:
    """The needless runs of one remediation."""

    stack: str
    remediation: str
    found: Needless


@dataclass(frozen=True)
class Act:
    """An act of an operator."""

    at: datetime
    who: str
    what: str
    run: int | None = None


@dataclass(frozen=True)
class ByHand:
    """The acts of operators: their number by kind, and the newest ones.

    `changed_items` had changed by themselves or by other hands between the plan and the act, by remediation.
    """

    counts: Mapping[str, int]
    newest: Sequence[Act]
    changed_items: Mapping[str, int]


@dataclass(frozen=True)
class Totals:
    """The numbers of the first sentence. `planned` alerts had plans in mode shadow."""

    runs: int
    succeeded: int
    planned: int
    went_away: int
    refused: int
    still_firing: int
    diagnoses: int


@dataclass(frozen=True)
class PeriodReport:
    """The report of a period."""

    period: Period
    written_at: datetime
    totals: Totals
    done: Sequence[Done]
    refused: Sequence[Refused]
    waited: Sequence[Waited]
    times: Sequence[Times]
    needless: Sequence[NeedlessRuns]
    by_hand: ByHand
    readiness: Sequence[Readiness]
    recurring: Sequence[RecurringProblem]
