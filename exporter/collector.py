"""What a collector is to the scraper.

A collector knows one kind of target: it connects and reads, and that is all. Time, retries, logs, isolation and the
samples about itself are the scraper's, once for all collectors.
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
from runbookd.inventory import Secret, SecretError, Stack

NOT_YET = "not read in the background yet"
"""The problem of a target between the start and its first background reading."""


@dataclass(frozen=True)
class Reading:
    """What one reading found.

    `round_trips` counts the requests that waited for an answer, without connecting. `problem` is set where the
    target was measured and is not up, as a probe that met the wrong status. `notes` tell people what the reading
    lacks, and why; `unread` says how many series of which metric were not asked for, because there are too many.
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
    """A connection to one target, used until something fails and then replaced."""

    @property
    def usable(self) -> bool:
        """Whether it can still be used; a server that restarted has closed it without asking."""
        return True

    @abstractmethod
    async def read(self, now: float) -> Reading:
        """Measure. `now` is seconds since 1970. Raises TargetError."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the connection without waiting for the target."""


Connect = Callable[[float], Awaitable[Client]]
"""Connects, reading secrets anew. Takes the seconds that a reading may last. Raises TargetError."""


@dataclass(frozen=True)
class ScrapeReading:
    """A reading that is made on each scrape. `round_trips` is how many it waits for at the most, without connecting."""

    connect: Connect
    round_trips: int = 1


@dataclass(frozen=True)
class BackgroundReading:
    """A reading that is too slow for a scrape: made in the background once in a while, its samples kept.

    `cost` says to people what one reading asks of the target. The target is up only with a good one if that
    `counts_for_up`.
    """

    connect: Connect
    refresh: timedelta
    cost: str
    counts_for_up: bool = True


class Collector(ABC):
    """One target of the inventory, and in which lanes it is measured: on each scrape, in the background, or both.

    The lanes have the names that the debug page shows. `jobs` are readings in the background that may fail without
    the target being down, see `exporter.job`.
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
        """How many series the target can have of one of its metrics."""
        return MAX_SERIES * metric.parts if metric.labels else 1

    def standing_samples(self) -> Iterable[Sample]:
        """Return what holds whatever became of the last reading, such as counters and the kind of its failure."""
        return ()

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        """Yield (key below the target, reason) for each secret that can not be read now."""
        return ()


def secret_problem(secret: Secret) -> Iterable[tuple[str, str]]:
    """Yield (key, reason) if `secret` can not be read now."""
    try:
        secret.read()
    except SecretError as error:
        key = secret.key if secret.file is None else f"{secret.key}_file"
        yield key, str(error).removeprefix(f"{key}: ")
