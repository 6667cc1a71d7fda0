"""The page about the states of a run, from the one table that the engine follows."""

from collections.abc import Iterator
from pathlib import Path

from remediator.escalation.policy import escalate
from remediator.model.run_state import ACTIVE, ENDED, MEANING, TRANSITIONS, RunState, counts_toward_breaker
from remediator.runs.transitions import CONSEQUENCES, open_breaker
from tools.docs import REFERENCE

PAGE = REFERENCE / "remediation-states.md"


def states_page() -> Iterator[tuple[Path, str]]:
    """The page, whole."""
    yield PAGE, "\n".join([*_HEAD, *_diagram(), "", *_table(), ""])


_HEAD = (
    "# States of a run",
    "",
    "Written by `make docs` from `remediator/model/run_state.py`, the table that the engine itself follows: a way that",
    "is not drawn here can not be gone. Each arrow is one row of the audit trail, in the transaction that moves a run.",
    "After a crash a run is where its last commit left it.",
    "",
)


def _diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {RunState.PLANNED}"
    for state in RunState:
        for following in sorted(TRANSITIONS.get(state, ())):
            yield f"    {state} --> {following}"
    for state in RunState:
        if state in ENDED:
            yield f"    {state} --> [*]"
    yield "```"


def _table() -> Iterator[str]:
    yield "| state | what it says | holds its target | people are told | breaker |"
    yield "|---|---|---|---|---|"
    for state in RunState:
        marks = _yes(state in ACTIVE), _yes(escalate in CONSEQUENCES.get(state, ())), _breaker(state)
        yield f"| `{state}` | {MEANING[state]} | {' | '.join(marks)} |"


def _yes(value: bool) -> str:
    return "yes" if value else ""


def _breaker(state: RunState) -> str:
    if open_breaker in CONSEQUENCES.get(state, ()):
        return "opens at once"
    if counts_toward_breaker(state, "crash"):
        return "opens after a few" + (", where it was a crash" if not counts_toward_breaker(state, "") else "")
    return ""
