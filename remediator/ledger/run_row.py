"""A run as stored in the ledger."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from remediator.ledger.schema import LedgerRow
from remediator.model.episode_key import EpisodeKey
from remediator.model.remediation import Trigger
from remediator.model.run_state import RunState


@dataclass(frozen=True)
class Origin:
    """The cause of a run; by default an alert. `undoes` is the number of the run whose effects it undoes."""

    trigger: Trigger = "alert"
    requested_by: str | None = None
    parameters: Mapping[str, str] | None = None
    undoes: int | None = None

    @property
    def actor(self) -> str:
        """The actor that the audit trail names."""
        return self.requested_by or "remediator"

    def as_detail(self) -> dict[str, Any]:
        """Return the columns that are set, for the audit trail; none for an alert."""
        return {name: value for name, value in asdict(self).items() if value and value != "alert"}


@dataclass(frozen=True)
class Run:
    """A row of the table."""

    id: int
    episode: int
    stack: str
    remediation: str
    target: str
    state: RunState
    reason: str
    fence: int
    created_at: datetime
    finished_at: datetime | None
    admitted_at: datetime | None
    not_before: datetime | None
    deferred_at: datetime | None
    expires_at: datetime | None
    approved_by: str | None
    found: int | None
    population: int | None
    plan_hash: str | None
    settings: Mapping[str, Any] | None
    """Those by which it was last judged. It acts with them, whatever a reload has changed since."""
    evidence: Mapping[str, Any]
    trigger: Trigger = "alert"
    requested_by: str | None = None
    parameters: Mapping[str, str] | None = None
    """The texts of an operator's values."""
    undoes: int | None = None

    @property
    def key(self) -> EpisodeKey:
        """The identity of the run's episode."""
        return EpisodeKey(self.stack, self.remediation, self.target)

    @property
    def answers_an_alert(self) -> bool:
        """Whether an alert has started it, so that confirmations, storms and the alert's end count."""
        return self.trigger == "alert"

    @property
    def keeps_its_plan(self) -> bool:
        """Whether it may touch exactly the items that an operator has seen."""
        return self.approved_by is not None or self.trigger == "operator"

    @property
    def is_about_an_alert(self) -> bool:
        """Whether it answers an alert that no remediation repairs, and only reads."""
        return self.key.is_about_an_alert


def from_row(row: LedgerRow) -> Run:
    """Convert a row of the table."""
    return Run(**{**row._mapping, "state": RunState(row.state)})
