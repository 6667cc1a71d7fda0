"""What became of a reading: samples, or the reason why there are none."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

from exporter.collector import Reading
from exporter.errors import DEADLINE_EXCEEDED, ExporterError

READING_CANCELLED = "let go of in the middle of the reading"


@dataclass(frozen=True)
class Failure:
    """Why a reading came to nothing."""

    reason: str
    timeout: bool = False


@dataclass(frozen=True)
class ReadingOutcome:
    """A reading or a failure, and the seconds that it took; in a background lane, also the last good reading."""

    reading: Reading | None
    failure: Failure | None
    seconds: float

    @property
    def problem(self) -> str:
        """Why the target is not up, or nothing."""
        if self.failure is not None:
            return self.failure.reason
        return self.reading.problem if self.reading is not None else ""


class StillFailing(Exception):
    """The last failure was a moment ago, and the target was not asked again."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def failure_of(error: BaseException) -> Failure:
    """Word `error` for people.

    Only our own errors are known to hold no secret. Of any other the type and the place are told, because drivers
    put parts of addresses into their messages.
    """
    if isinstance(error, TimeoutError | asyncio.CancelledError):  # a deadline cancels what it ends
        return Failure(DEADLINE_EXCEEDED, timeout=True)
    if isinstance(error, StillFailing):
        return error.failure
    if isinstance(error, ExporterError):
        return Failure(str(error))
    frames = extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Failure(f"unexpected {type(error).__name__}{place}")
