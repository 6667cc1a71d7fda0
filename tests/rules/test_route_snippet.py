"""The remediator is added to any configuration of Alertmanager without taking an alert from anybody."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import yaml

from tests.rules.own_configurations import CONFIGURATIONS, with_remediator
from tests.rules.tools import RunTool

LABELS = [
    {"severity": severity, "team": team, "remediation": remediation}
    for severity, team, remediation in product(
        ("critical", "warning"), ("", "payments", "search"), ("", "run_backup", "terminate_idle_transactions")
    )
]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_alert_reaches_whom_it_reached_before_and_the_remediator(
    amtool: RunTool, tmp_path: Path, name: str
) -> None:
    own, changed = tmp_path / "own.yml", tmp_path / "changed.yml"
    own.write_text(CONFIGURATIONS[name])
    changed.write_text(yaml.safe_dump(with_remediator(CONFIGURATIONS[name])))
    assert amtool("check-config", changed).returncode == 0
    for labels in LABELS:
        remediator = ["remediator"] if labels["remediation"] else []
        assert [*receivers(amtool, changed, labels)] == [*remediator, *receivers(amtool, own, labels)], labels


def receivers(amtool: RunTool, file: Path, labels: dict[str, str]) -> Iterator[str]:
    pairs = [f"{name}={value}" for name, value in labels.items() if value]
    result = amtool("config", "routes", "test", f"--config.file={file}", *pairs)
    assert result.returncode == 0, result.stderr
    yield from result.stdout.strip().split(",")
