"""The checks and doctor name folders that prune_files may not have, or cannot prune."""

import os
from pathlib import Path
from typing import Any

import pytest

from remediator.config_check import config_findings, remediation_findings
from runbookctl.doctor import examine, folders
from runbookd.inventory import Inventory


def inventory_with(path: str | Path, **stack: Any) -> Inventory:
    folder = {"path": str(path), "pattern": "*.log*", "older_than": "14d"}
    return Inventory.model_validate({"stacks": {"shop": {"folders": {"logs": folder}, **stack}}})


@pytest.mark.parametrize("path", ["/srv/backups", "/srv/backups/db", "/srv/backups/db/old", "/srv/a"])
def test_folder_that_overlaps_with_backups_of_any_stack_is_refused(path: str) -> None:
    backups = {"nightly": {"url": "file:///srv/backups/db/", "pattern": "db_%Y%m%d.dump"}}
    report = {"wal": {"report": {"format": "walg", "file": "/srv/a/list.json"}}}
    other = Inventory.model_validate({"stacks": {"other": {"backups": {**backups, **report}}}})
    inventory = inventory_with(path)
    both = inventory.model_copy(update={"stacks": {**inventory.stacks, **other.stacks}})
    [finding] = remediation_findings(both)
    assert finding.path == ("stacks", "shop", "folders", "logs", "path")
    assert "only prune_backups deletes backups" in finding.reason


def test_folder_beside_the_backups_is_accepted() -> None:
    backups = {"nightly": {"url": "file:///srv/backups/db/", "pattern": "db_%Y%m%d.dump"}}
    assert list(remediation_findings(inventory_with("/srv/backups/logs", backups=backups))) == []


async def problems(path: Path) -> list[str]:
    [report] = await examine(inventory_with(path), frozenset({"shop"}))
    assert report.target == "shop/folders/logs"
    return [finding.problem for finding in report.findings]


async def test_check_and_doctor_name_a_folder_that_cannot_be_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = folders.read_open_files
    monkeypatch.setattr(folders, "read_open_files", lambda: type(reading())(frozenset(), None))
    missing = tmp_path / "missing"
    [finding] = config_findings(inventory_with(missing))
    assert finding.reason == f"{missing} is no folder that this user can see; correct the path"
    assert "No such file or directory" in (await problems(missing))[0]
    assert list(config_findings(inventory_with(tmp_path))) == []
    assert await problems(tmp_path) == []
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert "is a symbolic link" in (await problems(link))[0]


async def test_doctor_names_processes_that_cannot_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.geteuid()
    reading = folders.read_open_files

    def read_as_nobody() -> Any:
        if own == 0:
            os.seteuid(65_534)
        try:
            return reading()
        finally:
            os.seteuid(own)

    monkeypatch.setattr(folders, "read_open_files", read_as_nobody)
    assert "hide their open files" in (await problems(tmp_path))[0]
