"""A run as stored in the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from remediator.ledger.schema import LedgerRow
from remediator.model.episode_key import EpisodeKey
from remediator.model.run_state import RunState


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

    @property
    def key(self) -> EpisodeKey:
        """The identity of the run's episode."""
        return EpisodeKey(self.stack, self.remediation, self.target)

    @property
    def is_about_an_alert(self) -> bool:
        """Whether it answers an alert that no remediation repairs, and only reads."""
        return self.key.is_about_an_alert


def from_row(row: LedgerRow) -> Run:
    """Convert a row of the table."""
    return replace(Run(**row._mapping), state=RunState(row.state))
