"""The state table has no dead ends and no unreachable states, and its page is current."""

import re

from remediator.model.run_state import ACTIVE, CANCELLABLE, ENDED, MEANING, TRANSITIONS, RunState
from tools.docs.states_page import states_page


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


def test_executing_run_cannot_be_cancelled() -> None:
    assert RunState.CANCELLED not in reachable(RunState.EXECUTING)
    assert not {RunState.EXECUTING, RunState.VERIFYING} & CANCELLABLE


def test_nothing_is_touched_without_admission() -> None:
    into_executing = {state for state, following in TRANSITIONS.items() if RunState.EXECUTING in following}
    assert into_executing == {RunState.ADMITTED}
    assert frozenset({RunState.ADMITTED, RunState.EXECUTING, RunState.VERIFYING}) == ACTIVE


def test_every_state_has_a_meaning() -> None:
    assert list(MEANING) == list(RunState)


def test_states_page_is_current() -> None:
    for file, text in states_page():
        assert file.read_text() == text


def test_diagram_has_every_transition_and_no_other() -> None:
    ((_, text),) = states_page()
    drawn = {tuple(way) for way in re.findall(r"^    (\w+) --> (\w+)$", text, re.MULTILINE)}
    assert drawn == {(state, following) for state, some in TRANSITIONS.items() for following in some}


def test_run_succeeds_only_after_verification() -> None:
    """Invariant 14."""
    assert {state for state, following in TRANSITIONS.items() if RunState.SUCCEEDED in following} == {
        RunState.VERIFYING
    }
