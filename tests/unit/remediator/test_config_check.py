"""Findings about remediations that only the remediator recognizes."""

import pytest

from remediator.config_check import remediation_findings
from runbookd.inventory import Inventory


@pytest.mark.parametrize(
    ("settings", "places"),
    [
        ({"mode": "auto"}, [("only_in",)]),
        ({"mode": "approve"}, []),
        ({"mode": "auto", "only_in": "night"}, []),
        ({"terminate": True}, [("terminate",)]),
    ],
)
def test_vacuum_by_itself_needs_a_window(settings: dict[str, object], places: list[tuple[str]]) -> None:
    window = {"days": ["sun"], "from": "02:00", "to": "04:00"}
    stack = {"windows": {"night": window}, "remediations": {"vacuum_tables": settings}}
    inventory = Inventory.model_validate({"stacks": {"shop": stack}})
    assert [finding.path[-1:] for finding in remediation_findings(inventory)] == places
