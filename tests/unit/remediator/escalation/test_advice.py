"""Every end of a run has advice, with commands that are safe to copy."""

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
    remediation="clear_folder",
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
    settings=None,
    evidence={},
)


@pytest.mark.parametrize("state", list(RunState))
def test_every_state_has_advice(state: RunState) -> None:
    advice = what_next(replace(RUN, state=state, reason=""))
    assert advice.strip()
    assert "{" not in advice


@pytest.mark.parametrize("bound", sorted(set(REFUSALS) - {"mode_off"}))
def test_every_refusal_has_its_own_advice(bound: str) -> None:
    assert what_next(replace(RUN, state=RunState.REFUSED, reason=bound)) != PLAIN


def test_advice_on_a_pause_names_the_end_of_each_kind() -> None:
    advice = what_next(replace(RUN, state=RunState.REFUSED, reason="kill_switch"))
    assert "this stack: runbookctl resume --stack shop" in advice
    assert "everything: runbookctl resume;" in advice
    assert "file has to be removed" in advice


def test_commands_are_quoted_for_the_shell() -> None:
    hostile = replace(RUN, target="shop/queues/jobs/a; rm -rf $HOME", expires_at=datetime(2026, 3, 1, 16, tzinfo=UTC))
    advice = what_next(replace(hostile, state=RunState.REFUSED, reason="breaker"))
    assert advice.endswith("runbookctl breaker close clear_folder 'shop/queues/jobs/a; rm -rf $HOME'")
    advice = what_next(replace(hostile, state=RunState.AWAITING_APPROVAL, reason=""))
    assert advice.endswith("approve it before 16:00 UTC (runbookctl approve 7) or reject it (runbookctl reject 7)")
