"""docs/reference/bounds.md lists every bound in order of precedence, with its default."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from remediator.bounds.bounds import DEFERRALS, REFUSALS
from runbookd.inventory import (
    Inventory,
    Limits,
    RemediationSettings,
    Section,
    ServiceTarget,
    Stack,
    StackLimits,
    annotations_by_key,
    format_duration,
)

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in Path("docs/reference/bounds.md").read_text().splitlines()
    if line.startswith("| `")
]
# The model at which a key of the table starts: the inventory, a stack, or a remediation.
ROOTS: dict[str, type[Section]] = {
    "remediations.NAME.": RemediationSettings,
    "services.NAME.": ServiceTarget,
    "stacks.NAME.": Stack,
    "": Inventory,
}


def keys_of(cell: str) -> list[str]:
    return [key for key in re.findall(r"`([a-z_.A-Z]+)`", cell) if key.count(".") and "/" not in key]


def test_bounds_are_listed_in_their_order_of_precedence() -> None:
    listed = [row[0].strip("`") for row in ROWS]
    assert listed == [*REFUSALS, *DEFERRALS], "add its row to docs/reference/bounds.md, at its place"
    assert [row[1] for row in ROWS] == ["refuse"] * len(REFUSALS) + ["defer"] * len(DEFERRALS)


@pytest.mark.parametrize("key", [key for row in ROWS for key in keys_of(row[3])])
def test_settings_of_a_bound_are_keys_of_the_inventory(key: str) -> None:
    prefix = next(prefix for prefix in ROOTS if key.startswith(prefix))
    model: Any = ROOTS[prefix]
    for part in key.removeprefix(prefix).split("."):
        model = next(iter(get_args(model)), model)  # the model of `Alertmanager | None`
        model = annotations_by_key(model)[part]


def test_defaults_match_the_code() -> None:
    defaults = {row[0].strip("`"): row[4] for row in ROWS}
    own, stack, limits = RemediationSettings(), StackLimits(), Limits()
    storm, breaker = limits.storm, own.breaker
    assert defaults["mode_off"] == f"`{own.mode}`"
    assert defaults["stale"] == f"`{format_duration(limits.max_alert_age)}`"
    assert defaults["min_firing"] == f"`{format_duration(own.min_firing)}`"
    assert defaults["cooldown"] == f"`{format_duration(own.cooldown)}`"
    assert defaults["rate"] == f"{own.max_runs_per_hour}, {stack.max_runs_per_hour}, {limits.max_runs_per_hour}"
    assert (defaults["concurrency"], stack.concurrency) == (f"{limits.concurrency}, no limit of its own", None)
    assert defaults["breaker"].startswith(
        f"{breaker.failures} failed or interrupted in `{format_duration(breaker.within)}`"
    )
    assert defaults["storm"] == (
        f"{storm.targets} targets or {storm.alerts} alerts in `{format_duration(storm.within)}`; "
        f"cooldown `{format_duration(storm.cooldown)}`"
    )
    assert [defaults[name] for name in ("freeze", "max_share", "blocked_by_alert", "window")] == ["none"] * 4
