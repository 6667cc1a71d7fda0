"""The tables of steps and consequences cover every state."""

from remediator.engine.run_driver import STEPS
from remediator.model.run_state import ENDED, TRANSITIONS, RunState
from remediator.runs.transitions import CONSEQUENCES


def test_every_state_that_a_commit_can_leave_a_run_in_has_a_step() -> None:
    """`prechecked` is passed within one transaction."""
    assert set(STEPS) == set(TRANSITIONS) - {RunState.PRECHECKED}


def test_only_ended_awaiting_and_admitted_states_have_consequences() -> None:
    assert set(CONSEQUENCES) <= ENDED | {RunState.AWAITING_APPROVAL, RunState.ADMITTED}
