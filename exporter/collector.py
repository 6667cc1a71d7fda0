"""The interface of a collector.

A collector connects to one kind of target and reads it. The scheduler handles time, retries, logs, isolation and the
samples about the reading for all collectors.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar

from exporter.job import Jobs
from exporter.metric import Metric, Rows, Sample
from exporter.series import MAX_SERIES
from runbookd.inventory import Stack

NOT_YET = "not read in the background yet"
"""The problem of a target before its first background reading."""


@dataclass(frozen=True)
class Reading:
    """The result of one reading.

    `round_trips` counts the requests that waited for an answer, without connecting. `problem` is set if the target
    was measured but is not up, for example a probe with the wrong status. `notes` explain to the operator which
    samples are missing. `unread` counts, by metric, the series beyond the limit, which were not requested.
    """

    samples: tuple[Sample | Rows, ...]
    round_trips: int
    problem: str = ""
    notes: tuple[str, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def count(self) -> int:
        """The number of values."""
        return sum(each.count if isinstance(each, Rows) else 1 for each in self.samples)


class Client(ABC):
    """A connection to one target; it is replaced after a failure."""

    @property
    def usable(self) -> bool:
        """Whether the connection is still open; a server that restarts closes it."""
        return True

    @abstractmethod
    async def read(self, now: float) -> Reading:
        """Measure the target. `now` is seconds since 1970. Raises TargetError."""

    @abstractmethod
    async def close(self) -> None:
        """Drop the connection without waiting for the target."""


Connect = Callable[[float], Awaitable[Client]]
"""Re-reads the secrets and connects. Takes the seconds that a reading may last. Raises TargetError."""


@dataclass(frozen=True)
class ScrapeReading:
    """A reading on each scrape, which waits for at most `round_trips`, without connecting."""

    connect: Connect
    round_trips: int = 1


@dataclass(frozen=True)
class BackgroundReading:
    """A background reading, too slow for a scrape.

    It runs every `refresh`, and the lane keeps its samples. `cost` describes to the operator the load of one reading.
    If it `counts_for_up`, the target is up only while this reading succeeds.
    """

    connect: Connect
    refresh: timedelta
    cost: str
    counts_for_up: bool = True


class Collector(ABC):
    """A target of the inventory, with the lanes that measure it.

    It reads on each scrape, in the background, or both. The debug page shows the lanes under these names. `jobs` are
    background readings that may fail while the target is up, see `exporter.job`.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    up: ClassVar[Metric]
    scrape: ScrapeReading | None = None
    background: BackgroundReading | None = None
    jobs: Jobs[Any] | None = None

    @abstractmethod
    def __init__(self, stack: Stack, name: str) -> None: ...

    @property
    def up_labels(self) -> tuple[str, ...]:
        """The label values of `up`."""
        return ()

    def most_series(self, metric: Metric) -> int:
        """Return the maximum number of the target's series for one of its metrics."""
        return MAX_SERIES * metric.parts if metric.labels else 1

    def standing_samples(self) -> Iterable[Sample]:
        """Return samples that do not depend on the last reading's success, such as counters."""
        return ()

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        """Yield (key below the target, reason) for each secret that cannot be read now."""
        return ()
