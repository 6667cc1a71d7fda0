"""`--config.check` names what could never work, without a part of any secret."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.config_check import config_findings as exporter_findings
from remediator.config_check import config_findings
from runbookd.inventory import Inventory

PG: dict[str, Any] = {"dsn": "postgresql://metrics@db/shop"}
REDIS: dict[str, Any] = {"url": "redis://cache/0"}
QUEUES: dict[str, Any] = {"redis": {"main": REDIS}, "queues": {"jobs": {"redis": "main"}}}
BACKUP: dict[str, Any] = {"url": "s3://b/", "pattern": "%Y%m%d.dump"}


def inventory_of(**stack: Any) -> Inventory:
    return Inventory.model_validate({"stacks": {"shop": stack}})


def found(inventory: Inventory) -> list[tuple[str, str]]:
    return [(".".join(finding.path), finding.reason) for finding in config_findings(inventory)]


@pytest.mark.parametrize(
    ("name", "targets", "rights"),
    [
        ("terminate_idle_transactions", {"postgres": {"main": PG}}, "no postgres of the stack has admin_dsn_file"),
        ("analyze_tables", {}, "the stack has no postgres"),
        ("retry_failed_jobs", QUEUES, "no queues of the stack has admin_url_file of its redis"),
        ("run_backup", {"backups": {"nightly": BACKUP}}, "no backups of the stack has dump"),
    ],
)
@pytest.mark.parametrize("mode", ["shadow", "approve", "auto"])
def test_remediation_without_rights_is_named(name: str, targets: dict[str, Any], rights: str, mode: str) -> None:
    [(place, reason)] = found(inventory_of(**targets, remediations={name: {"mode": mode}}))
    assert place == f"stacks.shop.remediations.{name}"
    assert reason.startswith(f"mode is {mode}, but {rights}; add ")
    assert found(inventory_of(**targets, remediations={name: {"mode": "off"}})) == []


def test_remediation_with_rights_on_one_target_is_fine() -> None:
    postgres = {"main": {**PG, "admin_dsn": "postgresql://remediator@db/shop"}, "replica": PG}
    remediations = {"terminate_idle_transactions": {"mode": "auto"}, "collect_diagnostics": {"mode": "auto"}}
    assert found(inventory_of(postgres=postgres, remediations=remediations)) == []


def test_remediator_that_would_look_into_another_database_of_redis_is_named() -> None:
    other = {"redis": {"main": {**REDIS, "admin_url": "redis://r:hunter2@cache/1"}}}
    reason = "leads to database 1, but that of url to 0; write the same into both"
    assert found(inventory_of(**other)) == [("stacks.shop.redis.main.admin_url", reason)]
    same = {"redis": {"main": {**REDIS, "admin_url": "redis://r:hunter2@cache"}}}
    assert found(inventory_of(**same)) == []


def test_misspelt_remediation_is_named_by_the_exporter() -> None:
    [finding] = exporter_findings(inventory_of(postgres={"main": PG}, remediations={"run_bakcup": {}}))
    assert finding.path == ("stacks", "shop", "remediations", "run_bakcup")
    assert finding.reason == "there is no such remediation; did you mean 'run_backup'?"


def wrong_addresses() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place of a wrong address and a stack with it, for each key and way of writing it wrong."""
    for written in ("hunter2/x", "12/hunter2", "x/hunter2?y="):
        dsn = f"postgresql://u:{written}@db/shop"
        yield "stacks.shop.postgres.main.dsn", {"postgres": {"main": {"dsn": dsn}}}
        yield "stacks.shop.postgres.main.admin_dsn", {"postgres": {"main": {**PG, "admin_dsn": dsn}}}
        yield "stacks.shop.backups.nightly.dump.dsn", {"backups": {"nightly": {**BACKUP, "dump": {"dsn": dsn}}}}
    for written in ("hunter2#x", "hunter2/x", "12/hunter2", "hunter2?x", "12?hunter2=", "hunter2[", "12#hunter2"):
        url = f"redis://u:{written}@cache/0"
        yield "stacks.shop.redis.main.url", {"redis": {"main": {"url": url}}}
        yield "stacks.shop.redis.main.admin_url", {"redis": {"main": {**REDIS, "admin_url": url}}}
    for written in ("hunter2#x", "hunter2/x", "12#hunter2", "hunter2["):
        yield "stacks.shop.http.api.url", {"http": {"api": {"url": f"https://u:{written}@api/health"}}}


@pytest.mark.parametrize(("place", "stack"), list(wrong_addresses()), ids=str)
def test_wrong_address_is_named_without_a_part_of_it(place: str, stack: dict[str, Any]) -> None:
    inventory = inventory_of(**stack)
    findings = [*exporter_findings(inventory), *config_findings(inventory)]
    assert [".".join(finding.path) for finding in findings] == [place]
    assert "hunter2" not in findings[0].reason
    assert "12" not in findings[0].reason


def test_secret_file_is_named_by_its_key(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text("redis://u:hunter2#@cache/0")
    [finding] = exporter_findings(inventory_of(redis={"main": {"url_file": file}}))
    assert finding.path[-1] == "url_file"
    assert "hunter2" not in finding.reason


def test_backup_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(path: Path) -> Inventory:
        backup = {"url": f"file://{path}/", "pattern": "%Y%m%d.dump", "dump": {}}
        return inventory_of(backups={"nightly": backup})

    assert found(folder(tmp_path)) == []
    for unseen in (tmp_path / "none", tmp_path / ("x" * 300)):
        assert found(folder(unseen))[0][1].startswith(f"{unseen} is not a folder")
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: mode & os.W_OK == 0)
    assert found(folder(tmp_path)) == [
        (
            "stacks.shop.backups.nightly.url",
            f"this user may not write into {tmp_path}; the remediator stores new backups there",
        )
    ]


def test_entry_that_could_not_be_run_here_is_named(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no program")
    commands = {
        "missing": {"argv": ["/no/such/program"], "environment": ["NOT_SET_HERE"]},
        "text": {"argv": ["/bin/true"], "undo": [str(text)]},
        "call": {"method": "POST", "url": "https://x.example/", "headers_file": "/no/such/file"},
        "fine": {"argv": ["/bin/true"], "environment": ["PATH"]},
    }
    place = "stacks.shop.commands"
    assert found(inventory_of(commands=commands)) == [
        (
            f"{place}.missing.argv",
            "/no/such/program is no program that this user can see; install it, or correct the path",
        ),
        (f"{place}.missing.environment", "this user has no variable NOT_SET_HERE; set it for the remediator"),
        (f"{place}.text.undo", f"this user may not execute {text}; give it the right (chmod +x)"),
        (
            f"{place}.call.headers_file",
            "cannot read /no/such/file (No such file or directory); create it, readable by this user only",
        ),
    ]


def test_refused_command_is_named_whatever_the_mode() -> None:
    commands = {"wipe": {"argv": ["/bin/true"], "undo": ["/bin/sh", "-c", "redis-cli FLUSHALL"]}}
    findings = found(inventory_of(commands=commands, remediations={"run_command": {"mode": "off"}}))
    assert [place for place, _ in findings] == ["stacks.shop.commands.wipe.undo"]
    assert findings[0][1].startswith("is refused: a shell")


@pytest.mark.parametrize(
    ("name", "entry", "rights"),
    [
        ("run_command", {"method": "POST", "url": "https://x.example/"}, "no commands of the stack has argv"),
        ("http_call", {"argv": ["/bin/true"]}, "no commands of the stack has method and url"),
    ],
)
def test_remediation_without_an_entry_of_its_kind_is_named(name: str, entry: dict[str, Any], rights: str) -> None:
    [(_, reason)] = found(inventory_of(commands={"one": entry}, remediations={name: {"mode": "shadow"}}))
    assert reason == f"mode is shadow, but {rights}; add it, or set mode: off"
    assert found(inventory_of(commands={"one": entry})) == []
