"""The order of faults: it comes from the seed alone, so that a run can be repeated."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from chaos.replica_faults import REPLICA_FAULTS, Fault
from chaos.server_faults import SERVER_FAULTS

LANES: Mapping[str, Mapping[str, Fault]] = {"replicas": REPLICA_FAULTS, "servers": SERVER_FAULTS}
"""The faults of two lanes: one fault at a time in each, so that a replica and a server can be faulty at once."""
_SECONDS: Mapping[str, tuple[float, float]] = {
    "kill the leader": (0.0, 20.0),
    "freeze the leader": (5.0, 25.0),
    "cut: leader and ledger": (3.0, 22.0),
    "hang: leader and ledger": (3.0, 22.0),
    "failover of the ledger": (0.5, 5.0),
    "frozen ledger": (2.0, 10.0),
}
_USUAL_SECONDS = (1.0, 8.0)
_PAUSE_SECONDS = (1.0, 6.0)


@dataclass(frozen=True)
class Step:
    """A fault that begins `at` seconds after the start and lasts for `seconds`."""

    at: float
    lane: str
    fault: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.at:7.1f} s  {self.lane:<9} {self.fault} ({self.seconds:.1f} s)"


def schedule(seed: int, seconds: float, skipped: str = "") -> Sequence[Step]:
    """Return the faults of `seconds`, by their beginning; none whose name begins with `skipped`, if that is given."""
    steps = (step for lane in LANES for step in _lane(lane, Random(f"{seed} {lane}"), seconds))  # noqa: S311
    steps = (step for step in steps if not skipped or not step.fault.startswith(skipped))
    return sorted(steps, key=lambda step: step.at)


def _lane(lane: str, random: Random, seconds: float) -> Iterator[Step]:
    """Yield every fault of the lane once, in random order, then again."""
    at, deck = random.uniform(*_PAUSE_SECONDS), list[str]()
    while True:
        deck = deck or random.sample(sorted(LANES[lane]), len(LANES[lane]))
        fault = deck.pop()
        length = random.uniform(*_SECONDS.get(fault, _USUAL_SECONDS))
        if at + length > seconds:
            return
        yield Step(round(at, 1), lane, fault, round(length, 1))
        at += length + random.uniform(*_PAUSE_SECONDS)
