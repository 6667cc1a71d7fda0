"""A past: when which alerts fired, or which deliveries came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Span:
    """A time in which an alert fired; `end` is None if it still fires at the end of the history."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class PastAlert:
    """One alert by its labels, and when it fired, oldest first."""

    labels: Mapping[str, str]
    spans: Sequence[Span]


@dataclass(frozen=True)
class PastDelivery:
    """A delivery as a remediator received it."""

    received_at: datetime
    body: bytes


@dataclass(frozen=True)
class History:
    """The past between two moments, from alerts or from deliveries."""

    since: datetime
    until: datetime
    alerts: Sequence[PastAlert] = ()
    deliveries: Sequence[PastDelivery] = ()
