"""Checks a backups target: the exporter's reading, and the folder that `run_backup` writes to."""

from datetime import timedelta

from remediator.clients.folder_probe import PROBE, refuses_to_replace
from remediator.clients.object_store import describe, open_folder
from remediator.clients.upload import STORAGE_ERRORS
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope, TargetName
from runbookctl.doctor import dump, reading
from runbookctl.doctor.finding import Finding
from runbookd.inventory import RemediationSettings, Stack

SECONDS = 15
_TIME_OF_DAY = ("%S", "%s", "%T", "%X", "%c")


async def check(stack: Stack, name: str) -> list[Finding]:
    """Check the exporter's reading, and the remediator's writing where the inventory has a `dump`."""
    findings, source = await reading.check_backups(stack, name), stack.backups[name].dump
    if source is None:
        return findings
    return [*findings, *await _check_writing(stack, name), *await dump.check(source)]


async def _check_writing(stack: Stack, name: str) -> list[Finding]:
    scope = Scope(stack, TargetName("", "backups", name), RemediationSettings(), run="doctor")
    try:
        conditional = await refuses_to_replace(open_folder(scope, timedelta(seconds=SECONDS)))
    except TargetUnreachable:  # its options are unusable, or readable by the remediator only
        return []
    except STORAGE_ERRORS as error:
        return [_writing_finding(describe(error), is_local=stack.backups[name].local_folder is not None)]
    return [] if conditional or _has_time_of_day(stack.backups[name].pattern) else [_replacing_finding(name)]


def _writing_finding(problem: str, *, is_local: bool) -> Finding:
    if is_local:
        return Finding(
            f"this user cannot write to the folder: {problem}",
            "run doctor as the remediator's user; if that user cannot write either, give it the folder (chown)",
        )
    return Finding(
        f"the remediator cannot write to the folder: {problem}",
        f"allow the credentials in admin_options_file to write {PROBE} and backups",
    )


def _has_time_of_day(pattern: str) -> bool:
    """Return whether another program meets a new name only within the same second."""
    return any(field in pattern for field in _TIME_OF_DAY)


def _replacing_finding(name: str) -> Finding:
    return Finding(
        "the storage cannot refuse to replace an object: run_backup only looks at the name right before it uploads",
        f"add the time of day to backups.{name}.pattern, as in db_%Y%m%d_%H%M%S.dump",
    )
