"""What a person is told to do next: something for every way a run can end, and commands that are safe to copy."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from remediator.bounds.bounds import REFUSALS
from remediator.escalation.advice import what_next
from remediator.ledger.runs import Run
from remediator.model.run_state import RunState
from tests.unit.remediator.conftest import START

PLAIN = "Nothing was touched. Check the target, then follow the runbook."


RUN = Run(
    id=7,
    episode=1,
    stack="shop",
    remediation="clear_shelf",
    target="shop/postgres/main",
    state=RunState.REFUSED,
    reason="max_items",
    fence=0,
    created_at=START,
    finished_at=START,
    admitted_at=None,
    not_before=None,
    deferred_at=None,
    expires_at=None,
    approved_by=None,
    found=2,
    population=None,
    plan_hash=None,
    evidence={},
)


@pytest.mark.parametrize("state", list(RunState))
def test_every_state_has_its_advice(state: RunState) -> None:
    told = what_next(replace(RUN, state=state, reason=""))
    assert told.strip()
    assert "{" not in told


@pytest.mark.parametrize("bound", sorted(set(REFUSALS) - {"mode_off"}))
def test_every_refusal_has_an_advice_of_its_own(bound: str) -> None:
    assert what_next(replace(RUN, state=RunState.REFUSED, reason=bound)) != PLAIN


def test_the_commands_may_be_copied() -> None:
    hostile = replace(RUN, target="shop/queues/jobs/a; rm -rf $HOME", expires_at=datetime(2026, 3, 1, 16, tzinfo=UTC))
    told = what_next(replace(hostile, state=RunState.REFUSED, reason="breaker"))
    assert told.endswith("runbookctl breaker close clear_shelf 'shop/queues/jobs/a; rm -rf $HOME'")
    told = what_next(replace(hostile, state=RunState.AWAITING_APPROVAL, reason=""))
    assert told.endswith("approve it before 16:00 UTC (runbookctl approve 7) or reject it (runbookctl reject 7)")
