"""Finds remediations that could never act: no target of their kind, no rights, or a folder that cannot be written."""

import os
from collections.abc import Callable, Iterator, Mapping

from remediator.model.remediation import Remediation
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import BackupTarget, Inventory, Mode, Stack
from runbookd.inventory.commands import CommandEntry, RequestEntry
from runbookd.service import ConfigFinding


def _has_keys(stack: Stack, name: str, kind: str) -> bool:
    return bool(getattr(stack.redis[name], kind)) and stack.redis[name].admin_url_secret().configured


# Per kind of target: whether one has the rights, and the keys that give them.
_RIGHTS: Mapping[str, tuple[Callable[[Stack, str], bool], str]] = {
    "postgres": (lambda stack, name: stack.postgres[name].admin_dsn_secret().configured, "admin_dsn_file"),
    "queues": (
        lambda stack, name: stack.redis[stack.queues[name].redis].admin_url_secret().configured,
        "admin_url_file of its redis",
    ),
}
# The same per remediation, where several act on one kind of target.
_RIGHTS_BY_NAME: Mapping[str, tuple[Callable[[Stack, str], bool], str]] = {
    "run_backup": (lambda stack, name: stack.backups[name].dump is not None, "dump"),
    "verify_backup": (lambda stack, name: stack.backups[name].report is None, "url and pattern"),
    "restore_drill": (lambda stack, name: stack.backups[name].drill is not None, "drill"),
    "prune_backups": (lambda stack, name: stack.backups[name].retention is not None, "retention"),
    "run_command": (lambda stack, name: isinstance(stack.commands[name], CommandEntry), "argv"),
    "archive_dead_letters": (lambda stack, name: stack.queues[name].archive is not None, "archive"),
    "unlink_prefix": (lambda stack, name: _has_keys(stack, name, "caches"), "caches and admin_url_file"),
    "reset_rate_limit": (lambda stack, name: _has_keys(stack, name, "rate_limits"), "rate_limits and admin_url_file"),
    "block_address": (lambda stack, name: _has_keys(stack, name, "blocks"), "blocks and admin_url_file"),
    "prune_files": (lambda _stack, _name: True, "a path"),
    "restart_service": (lambda _stack, _name: True, "a manager"),
    "scale_workers": (lambda stack, name: stack.services[name].workers is not None, "workers"),
    "http_call": (lambda stack, name: isinstance(stack.commands[name], RequestEntry), "method and url"),
}


def rights_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report each remediation that is not off and that no target of the stack allows; connects to none."""
    for stack_name, stack in inventory.stacks.items():
        for name, settings in stack.remediations.items():
            if name in REMEDIATIONS and settings.mode is not Mode.OFF:
                path = ("stacks", stack_name, "remediations", name)
                for reason in _missing(stack, REMEDIATIONS[name], settings.mode):
                    yield ConfigFinding(path, reason)


def folder_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report each local folder in which this user could not store a backup."""
    for stack_name, stack in inventory.stacks.items():
        for name, backup in stack.backups.items():
            if backup.dump is not None and (reason := _folder_problem(backup)):
                yield ConfigFinding(("stacks", stack_name, "backups", name, "url"), reason)


def _missing(stack: Stack, remediation: Remediation, mode: Mode) -> Iterator[str]:
    kind = remediation.kind
    rights = _RIGHTS_BY_NAME.get(remediation.name) or _RIGHTS.get(kind)
    if rights is None:
        return
    has_rights, key = rights
    targets = getattr(stack, kind)
    if not targets:
        yield f"mode is {mode}, but the stack has no {kind}; add one, or set mode: off"
    elif not any(has_rights(stack, target) for target in targets):
        yield f"mode is {mode}, but no {kind} of the stack has {key}; add it, or set mode: off"


def _folder_problem(backup: BackupTarget) -> str | None:
    if (folder := backup.local_folder) is None:
        return None
    if not folder.is_dir():
        return f"{folder} is not a folder that this user can see; create it, or correct url"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"this user may not write into {folder}; the remediator stores new backups there"
    return None
