"""A failed part is excluded for a while, then retried."""

import pytest

from exporter.postgres import part_faults
from exporter.postgres.part_faults import PartFaults
from exporter.postgres.parts.catalogue import SCRAPE_PARTS

PART = SCRAPE_PARTS[3]


class FakeMonotonic:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeMonotonic:
    clock = FakeMonotonic()
    monkeypatch.setattr(part_faults, "monotonic", clock)
    return clock


def test_failing_part_is_retried_after_growing_waits(clock: FakeMonotonic) -> None:
    known = PartFaults()
    for seconds in (30, 60, 120, 240, 300, 300):
        known.exclude(PART, "slow")
        clock.now += seconds - 1
        assert PART not in known.usable(SCRAPE_PARTS)
        assert known.reasons == {PART.name: "slow"}
        clock.now += 2
        assert PART in known.usable(SCRAPE_PARTS)
        assert known.reasons == {}


def test_wait_restarts_after_the_part_worked_for_a_while(clock: FakeMonotonic) -> None:
    known = PartFaults()
    known.exclude(PART, "slow")
    clock.now += 30 + 31
    known.exclude(PART, "slow")
    clock.now += 31
    assert known.usable(SCRAPE_PARTS) == SCRAPE_PARTS


def test_failing_part_does_not_exclude_other_parts(clock: FakeMonotonic) -> None:
    known = PartFaults()
    known.exclude(PART, "slow")
    assert set(SCRAPE_PARTS) - set(known.usable(SCRAPE_PARTS)) == {PART}
