"""Every state that two or three replicas can reach; `python -m tests.protocol` prints the counterexamples."""

import pytest

from remediator.engine.run_driver import STEPS
from remediator.model.run_state import TRANSITIONS, RunState
from tests.protocol import run_model
from tests.protocol.search import STUCK, Model, Step, search
from tests.protocol.searches import FAULTS, HOLDS, HOLDS_FOR_LONG, LIMITS

# The answers of operators, and a fix that does not help, are not part of the model.
NOT_MODELLED = {RunState.SHADOW, RunState.AWAITING_APPROVAL, RunState.REJECTED, RunState.INEFFECTIVE}


@pytest.mark.parametrize("name", HOLDS)
def test_every_property_holds_in_every_state(name: str) -> None:
    """Invariants 5, 6, 12, 13, 36."""
    result = search(HOLDS[name])
    print(f"{name}: {result}")
    assert result.broken is None, str(result)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", HOLDS_FOR_LONG)
def test_every_property_holds_with_more_replicas_and_more_faults(name: str) -> None:
    result = search(HOLDS_FOR_LONG[name])
    print(f"{name}: {result}")
    assert result.broken is None, str(result)


@pytest.mark.parametrize("name", FAULTS)
def test_seeded_fault_is_found(name: str) -> None:
    model, broken = FAULTS[name]
    result = search(model)
    print(f"{name}: {result}")
    assert result.broken == broken


@pytest.mark.parametrize("name", LIMITS)
def test_limit_of_the_protocol_has_a_counterexample(name: str) -> None:
    """If one is gone, docs/explanation/replicas.md promises too little."""
    model, broken = LIMITS[name]
    assert search(model).broken == broken


def test_searches_visit_every_state_of_a_run_that_the_driver_knows() -> None:
    run_model.TAKEN.clear()
    for name in ("one replica that acts", "a limit of one run"):
        search(HOLDS[name])
    visited = {RunState.PLANNED} | {to for _, to in run_model.TAKEN}
    assert set(RunState) - visited == NOT_MODELLED
    assert set(STEPS) - visited == {RunState.AWAITING_APPROVAL}
    assert all(to in TRANSITIONS[state] for state, to in run_model.TAKEN)


class Corridor:
    """A model of the search itself: rooms 0 to 3; only a fault leads back out of the last."""

    start = 0

    def __init__(self, forbidden: int | None = None, rest: int = 0) -> None:
        self._forbidden, self._rest = forbidden, rest

    def steps(self, state: int) -> list[Step]:
        forward = [Step(f"to {state + 1}", state + 1)] if state < 3 else []
        return [*forward, Step("back", 0, is_fault=True)]

    def broken(self, state: int) -> str | None:
        return "forbidden" if state == self._forbidden else None

    def is_at_rest(self, state: int) -> bool:
        return state == self._rest

    def key(self, state: int) -> int:
        return state


@pytest.mark.parametrize(
    ("model", "broken", "trace"),
    [
        (Corridor(rest=3), None, ()),
        (Corridor(rest=3, forbidden=2), "forbidden", ("to 1", "to 2")),
        (Corridor(rest=2), STUCK, ("to 1", "to 2", "to 3")),
        (Corridor(rest=0), STUCK, ("to 1",)),
    ],
)
def test_search_finds_the_shortest_way_to_a_fault_and_a_dead_end(
    model: Model, broken: str | None, trace: tuple[str, ...]
) -> None:
    result = search(model)
    assert (result.broken, result.trace) == (broken, trace)
