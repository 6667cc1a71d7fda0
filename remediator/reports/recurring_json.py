"""A recurring problem as JSON, for the API and the report."""

from typing import Any

from remediator.model.clock import rfc3339
from remediator.reports.recurring import RecurringProblem


def problem_json(problem: RecurringProblem) -> dict[str, Any]:
    """Return a recurring problem as JSON."""
    return {
        "stack": problem.stack,
        "remediation": problem.remediation,
        "target": problem.target,
        "times": problem.times,
        "ordinal": problem.ordinal,
        "acted": problem.acted,
        "limit": problem.limit,
        "first_at": rfc3339(problem.first_at),
        "last_at": rfc3339(problem.last_at),
        "runs": list(problem.runs),
        "items": problem.items,
        "causes": [{"traits": dict(each.traits), "items": each.items} for each in problem.causes],
        "fix": {"advice": problem.fix.advice, "snippet": problem.fix.snippet, "language": problem.fix.language},
    }
