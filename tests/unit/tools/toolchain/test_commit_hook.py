"""`make setup` installs a hook that refuses messages not of the form `area: summary`."""

import subprocess
from pathlib import Path

import pytest

from tools.commit_message import problems
from tools.toolchain.commit_hook import install_commit_hook
from tools.toolchain.paths import ROOT


def git(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    identity = ["-c", "user.name=dev", "-c", "user.email=dev@example.com"]
    return subprocess.run(["git", *identity, *arguments], cwd=checkout, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "commit_message.py").symlink_to(ROOT / "tools" / "commit_message.py")
    return tmp_path


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("exporter: report the lag of slots\n\nThe reason.", ""),
        ("demo, soak: name the servers", ""),
        ("fixup! whatever Git wrote", ""),
        ("ledger: embed the schema", ""),
        ("# a comment only", "area: imperative summary"),
        ("Report the lag", "area: imperative summary"),
        ("exporter: Report the lag", "lower case"),
        ("exporter: added the lag", "imperative"),
        ("exporter: adding the lag", "imperative"),
        ("exporter: report the lag\nof slots", "blank line"),
        ("exporter: report " + "x" * 56, "73 characters"),
    ],
)
def test_message_is_accepted_or_refused_with_the_reason(message: str, problem: str) -> None:
    lines = list(problems(message))
    assert bool(lines) == bool(problem)
    assert all(problem in line for line in lines)


def test_installed_hook_refuses_a_commit_and_names_the_problem(checkout: Path) -> None:
    install_commit_hook(checkout)
    refused = git(checkout, "commit", "--allow-empty", "-m", "Added things")
    assert refused.returncode
    assert "area: imperative summary" in refused.stderr
    accepted = git(checkout, "commit", "--allow-empty", "-m", "exporter: add things")
    assert accepted.returncode == 0, accepted.stderr


def test_hook_of_the_developer_is_kept(checkout: Path) -> None:
    hook = checkout / ".git" / "hooks" / "commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("mine")
    install_commit_hook(checkout)
    assert hook.read_text() == "mine"


def test_folder_without_git_gets_no_hook(tmp_path: Path) -> None:
    install_commit_hook(tmp_path)
    assert list(tmp_path.iterdir()) == []
