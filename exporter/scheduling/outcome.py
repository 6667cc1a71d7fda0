"""The outcome of a reading: its samples, or the reason for its failure."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

from exporter.collector import Reading
from exporter.errors import DEADLINE_EXCEEDED, ExporterError

READING_CANCELLED = "cancelled: a reload removed the target, or the exporter is stopping"


@dataclass(frozen=True)
class Failure:
    """Why a reading failed."""

    reason: str
    timeout: bool = False


@dataclass(frozen=True)
class ReadingOutcome:
    """A reading or a failure, and its duration.

    After a failure in the background it also holds the last good reading.
    """

    reading: Reading | None
    failure: Failure | None
    seconds: float

    @property
    def problem(self) -> str:
        """Why the target is not up, or empty."""
        if self.failure is not None:
            return self.failure.reason
        return self.reading.problem if self.reading is not None else ""


class StillFailing(Exception):
    """The target failed recently, so this reading was skipped."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def failure_of(error: BaseException) -> Failure:
    """Turn `error` into a failure that is safe to show.

    Only the exporter's own errors are known to hold no secret. Any other is reported by type and place, because
    drivers put parts of addresses into their messages.
    """
    if isinstance(error, TimeoutError | asyncio.CancelledError):  # a deadline cancels the reading
        return Failure(DEADLINE_EXCEEDED, timeout=True)
    if isinstance(error, StillFailing):
        return error.failure
    if isinstance(error, ExporterError):
        return Failure(str(error))
    frames = extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Failure(f"unexpected {type(error).__name__}{place}")
