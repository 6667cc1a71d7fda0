"""Parts that failed on a server: left out for a while, so that the others are still read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic

from exporter.postgres.parts.part import Part

# A lock may be gone soon; a missing right or a slow part persists, so that the time doubles.
FIRST_SECONDS, LONGEST_SECONDS = 30.0, 300.0


@dataclass(frozen=True)
class ExcludedPart:
    """Why a part is left out, for how many seconds, and until when (monotonic clock)."""

    reason: str
    seconds: float
    until: float


class PartFaults:
    """The parts that failed on one server; outlives its connections.

    `suspicious`: the last reading ended before the exporter knew which part was at fault.
    """

    def __init__(self) -> None:
        self._excluded: dict[str, ExcludedPart] = {}
        self.suspicious = False

    def exclude(self, part: Part, reason: str) -> None:
        """Leave a part out until its next try; twice as long as before if it failed again soon."""
        now, before = monotonic(), self._excluded.get(part.name)
        again = before is not None and now < before.until + before.seconds
        seconds = min(2 * before.seconds, LONGEST_SECONDS) if before is not None and again else FIRST_SECONDS
        self._excluded[part.name] = ExcludedPart(reason, seconds, now + seconds)

    def usable(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        """Return the parts that are not left out at present."""
        excluded = self.reasons
        return tuple(part for part in parts if part.name not in excluded)

    @property
    def reasons(self) -> Mapping[str, str]:
        """The reason for each part that is left out at present, by name."""
        now = monotonic()
        return {name: fault.reason for name, fault in self._excluded.items() if now < fault.until}
