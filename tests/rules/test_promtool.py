"""promtool loads the rules, and every case passes with the numbers of the runbooks."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runbookctl.main import app
from tests.rules.generated import subsystems, write_tests
from tests.rules.rulebook import CASES, ROOT, RULES, SEVERITIES, adapter_files, subsystem_files, threshold_files
from tests.rules.tools import RunTool


def case_files() -> list[Path]:
    return sorted(CASES.glob("*_test.yml"))


@pytest.mark.parametrize("file", [*subsystem_files(), *adapter_files(), *threshold_files()], ids=lambda file: file.stem)
def test_rule_file_passes_promtool_lint(promtool: RunTool, file: Path) -> None:
    result = promtool("check", "rules", "--lint-fatal", file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("file", case_files(), ids=lambda file: file.stem)
def test_cases_pass_promtool(promtool: RunTool, file: Path) -> None:
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("subsystem", subsystems())
def test_each_alert_fires_only_past_its_limit_for_each_stack(
    promtool: RunTool, tmp_path: Path, subsystem: str, severity: str
) -> None:
    for file in write_tests(tmp_path, subsystem, RULES, severity):
        result = promtool("test", "rules", file)
        assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_configuration_loads_every_rule_file(promtool: RunTool, tmp_path: Path) -> None:
    shutil.copytree(RULES, tmp_path / "alert_rules")
    config = shutil.copy(ROOT / "deploy" / "prometheus.yml", tmp_path)
    result = promtool("check", "config", "--lint-fatal", config)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(subsystem_files()) + len(adapter_files())} rule files found" in result.stdout


def test_prometheus_configuration_loads_the_thresholds_beside_it_only(promtool: RunTool, tmp_path: Path) -> None:
    """The examples in alert_rules/thresholds belong to other stacks."""
    shutil.copytree(RULES, tmp_path / "alert_rules")
    config = shutil.copy(ROOT / "deploy" / "prometheus.yml", tmp_path)
    CliRunner().invoke(app, ["init", str(tmp_path / "shop")], catch_exceptions=False)
    shutil.copy(tmp_path / "shop" / "thresholds.yml", tmp_path)
    (tmp_path / "thresholds").mkdir()
    shutil.copy(threshold_files()[0], tmp_path / "thresholds")
    result = promtool("check", "config", "--lint-fatal", config)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(subsystem_files()) + len(adapter_files()) + 2} rule files found" in result.stdout
