"""The state table has no dead ends and no islands."""

from remediator.states import ACTIVE, CANCELLABLE, ENDED, TRANSITIONS, RunState


def reachable(start: RunState) -> set[RunState]:
    seen, waiting = {start}, [start]
    while waiting:
        for following in TRANSITIONS.get(waiting.pop(), frozenset()) - seen:
            seen.add(following)
            waiting.append(following)
    return seen


def test_every_state_is_reached_from_planned() -> None:
    assert reachable(RunState.PLANNED) == set(RunState)


def test_every_open_state_can_end() -> None:
    assert all(reachable(state) & ENDED for state in TRANSITIONS)


def test_once_it_executes_it_can_not_be_called_off() -> None:
    assert RunState.CANCELLED not in reachable(RunState.EXECUTING)
    assert not {RunState.EXECUTING, RunState.VERIFYING} & CANCELLABLE


def test_nothing_is_touched_without_admission() -> None:
    into_executing = {state for state, following in TRANSITIONS.items() if RunState.EXECUTING in following}
    assert into_executing == {RunState.ADMITTED}
    assert frozenset({RunState.ADMITTED, RunState.EXECUTING, RunState.VERIFYING}) == ACTIVE
