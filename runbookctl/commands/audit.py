"""`audit verify`: verify the audit trail."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from runbookctl.client import RemediatorRefused
from runbookctl.options import OutputOption, client_of, console
from runbookctl.printing import answers

VERIFY_SECONDS = 900.0  # a million rows take half a minute on an idle machine
UNKNOWN_HEAD = "the trail was truncated or rewritten, or this head is older than the 400 days kept"


def verify_audit(
    context: typer.Context,
    head: Annotated[str | None, typer.Option(help="A head hash noted earlier, from a log or an escalation.")] = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Verify that no audit row was changed, and with --head that the trail still holds it."""
    answer = client_of(context).get("/api/v1/audit", {"head": head}, VERIFY_SECONDS)
    problem = None
    if answer["first_break"] is not None:
        problem = f"the audit trail is broken at row {answer['first_break']}: {answer['why']}"
    elif head is not None and not answer["head_known"]:
        problem = f"the audit trail does not contain {head}: {UNKNOWN_HEAD}"
    if problem is None or output is answers.Format.JSON:
        answers.print_result(console, answer, output, _audit_summary(answer))
    if problem is not None:
        raise RemediatorRefused(problem)


def _audit_summary(answer: Mapping[str, Any]) -> str:
    rows, since = answer["rows"], answer["begins_at"]
    return f"the audit trail is intact: {rows} rows" + (f" since {since}" if since else "") + f"; head {answer['head']}"
