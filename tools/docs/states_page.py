"""Generate the page about the states of a run from the table that the engine uses."""

from collections.abc import Iterator
from pathlib import Path

from remediator.escalation.policy import escalate
from remediator.model.run_state import ACTIVE, ENDED, MEANING, TRANSITIONS, RunState, counts_toward_breaker
from remediator.runs.transitions import CONSEQUENCES, open_breaker
from runbookd.inventory import Breaker, format_duration
from tools.docs import REFERENCE

PAGE = REFERENCE / "remediation-states.md"


def states_page() -> Iterator[tuple[Path, str]]:
    """Yield the whole page."""
    yield PAGE, "\n".join([*_HEAD, *_diagram(), "", *_table(), ""])


_HEAD = (
    "# States of a run",
    "",
    "`make docs` generates this page from `remediator/model/run_state.py`, the table that the engine uses. The ledger",
    "refuses every transition that is not drawn here. Each transition adds one row to the audit trail, in its own",
    "transaction. After a crash, a run is in the state that was committed last.",
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
    yield "| state | meaning | holds its target | notifies contacts | breaker |"
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
        default = Breaker()
        limit = f"opens after {default.failures} in `{format_duration(default.within)}`, by default"
        return limit if counts_toward_breaker(state, "") else "as for `failed`, but only a crash counts"
    return ""
