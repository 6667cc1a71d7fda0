"""Jobs: readings in the background that share one connection and take turns, each with its own samples and errors.

A job that fails, hangs or waits for a lock costs its own samples their freshness, and nothing else. What it found last
stays on the page, with the time of that beside it. The connection is there only while something is due.

Nothing here knows a lane or a collector, since both are made of this.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from exporter.metric import Metric, Sample


class JobSession(Protocol):
    """What the jobs of a target take turns with; it connects when the first of them asks for something."""

    async def close(self) -> None:
        """Let go of the connection without waiting for the target."""


S = TypeVar("S", bound=JobSession)


@dataclass(frozen=True)
class Job(Generic[S]):
    """One reading. `run` gets the session and the end of its time (event loop's clock), and returns all its samples.

    It raises TargetError; whatever else it raises is told without its text. `name` is unique within the target,
    `metrics` are all that it can give, the HELP of each ends in "Cached."; `most_series` is the most of all of them.
    """

    name: str
    refresh: timedelta
    timeout: timedelta
    run: Callable[[S, float], Awaitable[Sequence[Sample]]]
    metrics: tuple[Metric, ...]
    most_series: int


@dataclass(frozen=True)
class Jobs(Generic[S]):
    """The jobs of one target, and what makes the session that they share for one turn."""

    session: Callable[[], S]
    jobs: tuple[Job[S], ...]
