"""Finds folders that `prune_files` may not have, or could not prune on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

from runbookd.inventory import BackupTarget, FolderTarget, Inventory
from runbookd.service import ConfigFinding
from runbookd.visible import is_visible_folder


def overlap_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report the folders that are, hold or lie in a folder of backups, of any stack."""
    storages = dict(_storages(inventory))
    for path, folder in _folders(inventory):
        for name, storage in storages.items():
            if folder.path.is_relative_to(storage) or storage.is_relative_to(folder.path):
                reason = f"overlaps with {name} ({storage}); only prune_backups deletes backups, so name another folder"
                yield ConfigFinding((*path, "path"), reason)


def unprunable_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report the folders that this user cannot read, or out of which it could delete nothing."""
    for path, folder in _folders(inventory):
        if problem := folder_problem(folder.path):
            yield ConfigFinding((*path, "path"), problem)


def folder_problem(path: Path) -> str | None:
    """Return why this user could not prune the folder, or None."""
    if not is_visible_folder(path):
        return f"{path} is no folder that this user can see; correct the path"
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return f"this user may not read and write {path}; give the right (setfacl -m u:USER:rwx {path})"
    return None


def _folders(inventory: Inventory) -> Iterator[tuple[tuple[str, ...], FolderTarget]]:
    for stack_name, stack in inventory.stacks.items():
        for name, folder in stack.folders.items():
            yield ("stacks", stack_name, "folders", name), folder


def _storages(inventory: Inventory) -> Iterator[tuple[str, Path]]:
    for stack_name, stack in inventory.stacks.items():
        for name, backup in stack.backups.items():
            if (path := _local_folder(backup)) is not None:
                yield f"{stack_name}/backups/{name}", path


def _local_folder(backup: BackupTarget) -> Path | None:
    if backup.report is not None and backup.report.file is not None:
        return backup.report.file.parent
    return backup.local_folder
