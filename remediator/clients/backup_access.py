"""Opens a backups target: its folder, and the keys that read what is encrypted in it."""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from remediator.clients.age import IdentityError, read_identities
from remediator.clients.backup_store import BackupFolder
from remediator.clients.object_store import open_folder
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope
from runbookd.inventory import BackupNames, BackupTarget, SecretError

READ_TIMEOUT = timedelta(hours=2)


def backups_target(scope: Scope) -> BackupTarget:
    """Return the target, whose backups are files in a folder.

    Raises:
        TargetUnreachable: they are folders, or in the repository of a backup tool.
    """
    target = scope.stack.backups[scope.target.name]
    if target.report is not None:
        raise TargetUnreachable(f"{scope.target}: a backup tool keeps these backups; use its own check")
    if target.pattern.endswith("/"):
        raise TargetUnreachable(f"{scope.target}: each of these backups is a folder; only single files can be read")
    return target


def open_backups(scope: Scope, timeout: timedelta) -> BackupFolder:
    """Open the folder with the credentials of now: reading takes hours, a token may live one."""
    target = scope.stack.backups[scope.target.name]
    store = open_folder(scope, request_timeout=timeout)
    names = BackupNames(target.pattern, ZoneInfo(target.zone))
    return BackupFolder(store, names, dated_by_name=target.dated_by == "name")


def reading_timeout(target: BackupTarget) -> timedelta:
    """Return the time in which a backup has to be read."""
    return READ_TIMEOUT if target.dump is None else target.dump.timeout


def archive_reader(target: BackupTarget) -> Sequence[str]:
    """Return the command that reads an archive of pg_dump to its end, with the pg_restore that the inventory names."""
    program = "pg_restore" if target.drill is None else target.drill.program("pg_restore")
    if target.dump is not None and Path(target.dump.check[0]).name == "pg_restore":
        program = target.dump.check[0]
    return (program, "--file=/dev/null")


def identities_of(scope: Scope) -> Sequence[Any]:
    """Return the identities that decrypt the backups; none without `decrypt`."""
    decrypt = scope.stack.backups[scope.target.name].decrypt
    if decrypt is None:
        return ()
    try:
        return read_identities(decrypt.identity_secret().read())
    except (SecretError, IdentityError) as error:
        text = str(error) if isinstance(error, SecretError) else f"decrypt.identity_file: {error}"
        raise TargetUnreachable(f"{scope.target}: {text}") from None


def program_environment() -> dict[str, str]:
    """Return the only variables that a program gets which reads a backup."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
