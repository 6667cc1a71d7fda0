"""Doctor names secrets that every user can read, and a webhook's token that Alertmanager cannot."""

import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runbookctl.accounts import Account, alertmanager_account
from runbookctl.doctor.secret_files import check_readers, check_tokens, files_of
from runbookctl.main import app
from runbookd.inventory import Inventory

GROUP = 4242
OTHER = Account("alertmanager", 65_533, frozenset({GROUP, os.getgid()}))
STRANGER = Account("alertmanager", 65_533, frozenset({GROUP}))


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """Return a token in a folder that every user can pass, whatever the machine's temporary folder is."""
    tmp_path.chmod(0o711)
    file = tmp_path / "webhook_token"
    file.write_text("hunter2")
    file.chmod(0o600)
    return file


@pytest.fixture(autouse=True)
def passable_parents(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the folders above the test's own count as open: pytest makes them private."""
    own_stat, inside = Path.stat, tmp_path

    def stat(path: Path, **options: bool) -> os.stat_result:
        return own_stat(path if path == inside or inside in path.parents else Path("/"), **options)

    monkeypatch.setattr(Path, "stat", stat)


def test_token_that_alertmanager_can_read_is_fine(token: Path) -> None:
    token.chmod(0o640)
    assert list(check_tokens([token], OTHER)) == []
    assert list(check_tokens([token], None)) == []


def test_token_of_this_user_only_is_named_with_the_repair(token: Path) -> None:
    [finding] = check_tokens([token], STRANGER)
    assert finding.problem == (
        f"Alertmanager runs as alertmanager and cannot read {token}: its alerts never reach the remediator"
    )
    assert finding.repair == f"chgrp alertmanager {token} && chmod 640 {token}"


def test_folder_that_alertmanager_cannot_pass_is_named(token: Path) -> None:
    token.chmod(0o644)
    token.parent.chmod(0o700)
    [finding] = check_tokens([token], STRANGER)
    assert finding.repair == f"chmod o+x {token.parent}"


def test_missing_token_has_the_command_that_makes_it(tmp_path: Path) -> None:
    [finding] = check_tokens([tmp_path / "none"], OTHER)
    assert f"-g alertmanager -m 640 /dev/stdin {tmp_path}/none" in finding.repair
    (tmp_path / "none").write_text("x")
    (tmp_path / "none").unlink()
    command = finding.repair.replace("sudo ", "").replace("-g alertmanager", f"-g {os.getgid()}")
    subprocess.run(["sh", "-c", command], check=True)
    assert (tmp_path / "none").stat().st_mode & 0o777 == 0o640
    assert list(check_tokens([tmp_path / "none"], OTHER)) == []


def test_token_that_this_user_cannot_look_at_is_named(tmp_path: Path) -> None:
    [finding] = check_tokens([tmp_path / ("x" * 300)], OTHER)
    assert finding.problem.endswith(" does not exist, or this user cannot see it")


def test_secret_that_every_user_can_read_is_named(token: Path) -> None:
    inventory = Inventory.model_validate(
        {
            "operators": {"oncall": {"token_file": token}},
            "stacks": {"shop": {"postgres": {"main": {"dsn_file": token.parent / "dsn"}}}},
        }
    )
    files = files_of(inventory)
    assert files == [token, token.parent / "dsn"]
    assert list(check_readers(files)) == []
    token.chmod(0o604)
    [finding] = check_readers(files)
    assert finding.problem == f"every user of this machine can read {token}"
    subprocess.run(["sh", "-c", finding.repair], check=True)
    assert list(check_readers(files)) == []
    token.chmod(0o644)
    token.parent.chmod(0o700)
    assert list(check_readers(files)) == [], "no other user can pass the folder"


def test_running_alertmanager_is_found_by_its_process(tmp_path: Path) -> None:
    for number, name in (("1", "systemd"), ("72", "prometheus-aler"), ("self", "alertmanager")):
        (tmp_path / number).mkdir()
        (tmp_path / number / "comm").write_text(f"{name}\n")
    account = alertmanager_account(tmp_path)
    assert account is not None
    assert account.user == os.getuid()


def test_init_prints_how_to_share_the_token(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["init", str(tmp_path / "shop")], catch_exceptions=False)
    token = tmp_path / "shop/secrets/webhook_token"
    assert f"{token} && chmod 640 {token} && chmod 711 {token.parent}\n" in result.stdout
