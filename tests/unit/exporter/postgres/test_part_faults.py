"""How long a part that failed is left out."""

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


def test_a_part_is_probed_again_later_and_later(clock: FakeMonotonic) -> None:
    known = PartFaults()
    for seconds in (30, 60, 120, 240, 300, 300):
        known.exclude(PART, "slow")
        clock.now += seconds - 1
        assert PART not in known.usable(SCRAPE_PARTS)
        assert known.reasons == {PART.name: "slow"}
        clock.now += 2
        assert PART in known.usable(SCRAPE_PARTS)
        assert known.reasons == {}


def test_one_that_worked_for_a_while_begins_anew(clock: FakeMonotonic) -> None:
    known = PartFaults()
    known.exclude(PART, "slow")
    clock.now += 30 + 31
    known.exclude(PART, "slow")
    clock.now += 31
    assert known.usable(SCRAPE_PARTS) == SCRAPE_PARTS


def test_the_others_are_used(clock: FakeMonotonic) -> None:
    known = PartFaults()
    known.exclude(PART, "slow")
    assert set(SCRAPE_PARTS) - set(known.usable(SCRAPE_PARTS)) == {PART}
