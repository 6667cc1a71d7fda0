"""Jobs: background readings of a target that share one connection and run in turn.

Each has its own samples and errors. If a job fails, hangs or waits for a lock, only its own samples become stale: the
page keeps the last ones and exports their time. The connection is open only while a job is due.

This module imports neither lanes nor collectors, because both import it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from exporter.metric import Metric, Rows, Sample


class JobSession(Protocol):
    """The connection that a target's jobs share in turn. It connects at its first use."""

    async def close(self) -> None:
        """Drop the connection without waiting for the target."""


S = TypeVar("S", bound=JobSession)


@dataclass(frozen=True)
class Job(Generic[S]):
    """One background reading.

    `run` takes the session and a deadline (event loop's clock), and returns all samples. It raises TargetError; the
    exporter reports any other error without its text. `name` is unique within the target. `metrics` are all that it can
    return; the HELP of each ends in "Cached.". `most_series` is their maximum number of series together.
    """

    name: str
    refresh: timedelta
    timeout: timedelta
    run: Callable[[S, float], Awaitable[Sequence[Sample | Rows]]]
    metrics: tuple[Metric, ...]
    most_series: int


@dataclass(frozen=True)
class Jobs(Generic[S]):
    """The jobs of one target, and the factory of the session that they share for one turn."""

    session: Callable[[], S]
    jobs: tuple[Job[S], ...]
