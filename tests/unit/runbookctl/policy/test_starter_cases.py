"""The cases that `init` writes pass in the folder that it writes, and so does the case of the how-to page."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from runbookctl.main import app
from tools.toolchain.paths import ROOT

POSTGRES, REDIS = ("--postgres", "127.0.0.1:5432/shop"), ("--redis", "127.0.0.1:6379/0")


@pytest.mark.parametrize(("options", "passed"), [(POSTGRES, 2), (REDIS, 1), ((*POSTGRES, *REDIS), 3)])
def test_cases_of_a_new_folder_pass(tmp_path: Path, options: tuple[str, ...], passed: int) -> None:
    run(["init", str(tmp_path / "shop"), "--stack", "my_shop", *options])
    assert f"{passed} of {passed} cases passed" in run(["test", str(tmp_path / "shop" / "policy_tests.yml")])


@pytest.mark.parametrize("modes", ["shadow", "runbook"])
def test_cases_of_a_runbook_pass_in_its_set_under_another_name(tmp_path: Path, modes: str) -> None:
    run(["init", str(tmp_path / "set"), "--runbook", "formula_pm", "--stack", "renamed", "--modes", modes])
    file = str(tmp_path / "set" / "policy_tests.yml")
    assert "2 of 2 cases passed" in run(["test", file, "--run", "six long|Redis is down"])


def test_case_of_the_how_to_page_passes_and_notices_its_change(tmp_path: Path) -> None:
    run(["init", str(tmp_path / "shop"), "--stack", "my_shop", *POSTGRES])
    file = tmp_path / "shop" / "policy_tests.yml"
    page = (ROOT / "docs" / "how-to" / "test-your-policy.md").read_text(encoding="utf-8")
    file.write_text(f"{file.read_text()}\n{page.split('```yaml')[1].split('```')[0]}")
    assert "1 of 1 cases passed, 2 left out" in run(["test", str(file), "--run", "come back"])
    key = "stacks.my_shop.remediations.terminate_idle_transactions.max_runs_per_hour"
    assert key in page
    assert "0 of 1 cases passed" in run(["test", str(file), "--run", "come back", "--set", f"{key}=4"], status=1)


def run(arguments: list[str], status: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status, result.output
    return result.output
