"""`init --runbook`: the complete set of a runbook under the stack's own name."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from runbookctl.errors import InitError
from runbookctl.main import app
from runbookctl.runbook_sets import CHECKOUT


def init(folder: Path, *options: str) -> None:
    result = CliRunner().invoke(app, ["init", str(folder), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def read(file: Path) -> dict[str, object]:
    content: dict[str, object] = yaml.safe_load(file.read_text())
    return content


def test_set_of_a_runbook_carries_the_name_of_the_stack_everywhere(tmp_path: Path) -> None:
    init(tmp_path / "new", "--runbook", "clientforge", "--stack", "my_crm")
    texts = {file.name: file.read_text() for file in (tmp_path / "new").iterdir()}
    assert set(texts) == {"inventory.yml", "thresholds.yml", "prometheus.yml", "alertmanager.yml"}
    assert not [name for name, text in texts.items() if "clientforge" in text]
    assert "  - thresholds.yml\n" in texts["prometheus.yml"]
    number = read(CHECKOUT / "alert_rules" / "thresholds" / "clientforge.yml")["groups"]
    written = read(tmp_path / "new" / "thresholds.yml")["groups"]
    assert str(number).replace("clientforge", "my_crm") == str(written)


def test_modes_of_a_set_are_shadow_unless_the_runbooks_are_asked_for(tmp_path: Path) -> None:
    init(tmp_path / "shadow", "--runbook", "pmcrm")
    init(tmp_path / "runbook", "--runbook", "pmcrm", "--modes", "runbook")
    modes = {}
    for name in ("shadow", "runbook"):
        stack = yaml.safe_load((tmp_path / name / "inventory.yml").read_text())["stacks"]["pmcrm"]
        modes[name] = {remediation: settings["mode"] for remediation, settings in stack["remediations"].items()}
    assert set(modes["shadow"].values()) == {"shadow"}
    assert modes["runbook"] == {
        "terminate_idle_transactions": "auto",
        "retry_failed_jobs": "approve",
        "run_backup": "approve",
        "restart_service": "auto",
        "run_command": "approve",
        "cancel_long_queries": "approve",
        "vacuum_tables": "auto",
        "prune_files": "approve",
        "unlink_prefix": "approve",
        "reset_rate_limit": "approve",
        "block_address": "approve",
    }


def test_modes_without_a_runbook_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InitError, match="add --runbook NAME"):
        CliRunner().invoke(app, ["init", str(tmp_path / "new"), "--modes", "runbook"], catch_exceptions=False)


def test_installation_without_the_sets_says_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runbookctl.runbook_sets.CHECKOUT", tmp_path)
    monkeypatch.setattr("runbookctl.runbook_sets.INSTALLED", tmp_path / "share")
    with pytest.raises(InitError, match="this installation has no deploy/runbooks; run it in a checkout"):
        CliRunner().invoke(app, ["init", str(tmp_path / "new"), "--runbook", "pmcrm"], catch_exceptions=False)
