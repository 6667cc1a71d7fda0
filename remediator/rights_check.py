"""Finds remediations that could never act: no target of their kind, no rights, or a folder that cannot be written."""

import os
from collections.abc import Iterator, Mapping

from remediator.model.remediation import Needs, Remediation
from remediator.remediations import REMEDIATIONS
from runbookd.addresses import AddressError
from runbookd.addresses.redis import read_redis_address
from runbookd.inventory import BackupTarget, Inventory, Mode, Secret, SecretError, Stack
from runbookd.service import ConfigFinding
from runbookd.visible import is_visible_folder

# Per kind of target, unless the remediation declares its own.
_NEEDS: Mapping[str, Needs] = {
    "postgres": Needs(lambda stack, name: stack.postgres[name].admin_dsn_secret().configured, "admin_dsn_file"),
    "queues": Needs(
        lambda stack, name: stack.redis[stack.queues[name].redis].admin_url_secret().configured,
        "admin_url_file of its redis",
    ),
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


def database_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report each Redis whose remediator would look for the keys in another database than the exporter."""
    for stack_name, stack in inventory.stacks.items():
        for name, redis in stack.redis.items():
            measured, acting = _database(redis.url_secret()), _database(redis.admin_url_secret())
            if measured is not None and acting is not None and measured != acting:
                reason = f"leads to database {acting}, but that of url to {measured}; write the same into both"
                yield ConfigFinding(("stacks", stack_name, "redis", name, "admin_url"), reason)


def _database(address: Secret) -> int | None:
    try:
        return read_redis_address(address.read()).database
    except (SecretError, AddressError):  # none is given, or it is reported as such
        return None


def _missing(stack: Stack, remediation: Remediation, mode: Mode) -> Iterator[str]:
    kind = remediation.kind
    needs = remediation.needs or _NEEDS.get(kind)
    if needs is None:
        return
    targets = getattr(stack, kind)
    if not targets:
        yield f"mode is {mode}, but the stack has no {kind}; add one, or set mode: off"
    elif not any(needs.given(stack, target) for target in targets):
        yield f"mode is {mode}, but no {kind} of the stack has {needs.keys}; add it, or set mode: off"


def _folder_problem(backup: BackupTarget) -> str | None:
    if (folder := backup.local_folder) is None:
        return None
    if not is_visible_folder(folder):
        return f"{folder} is not a folder that this user can see; create it, or correct url"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"this user may not write into {folder}; the remediator stores new backups there"
    return None
