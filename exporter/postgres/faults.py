"""Parts that a server did not answer: left out for a while, so that they cost the others nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic

from exporter.postgres.part import Part

PROBE_AGAIN_SECONDS = 300.0


@dataclass(frozen=True)
class Fault:
    """Why a part is left out, and until when (seconds of the monotonic clock)."""

    reason: str
    until: float


class Faults:
    """What is known of one server's parts; it outlives connections.

    `suspicious`: the last reading ended before the server said which part was at fault.
    """

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self.suspicious = False

    def leave_out(self, part: Part, reason: str) -> None:
        """Leave a part out from now on, until it is time to probe it again."""
        self._faults[part.name] = Fault(reason, monotonic() + PROBE_AGAIN_SECONDS)

    def usable(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        """Return the parts that are not left out now."""
        now = monotonic()
        self._faults = {name: fault for name, fault in self._faults.items() if now < fault.until}
        return tuple(part for part in parts if part.name not in self._faults)

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why each part is left out, by its name."""
        return {name: fault.reason for name, fault in self._faults.items()}
