"""Checks the files of secrets: nobody else reads them, but Alertmanager the webhook's token; passwords are hashed."""

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from remediator.passwords_check import password_findings
from runbookctl.accounts import Account, make_token
from runbookctl.doctor.finding import Finding
from runbookd.inventory import Inventory, Section
from runbookd.visible import is_visible_file


def check_tokens(files: Iterable[Path], account: Account | None) -> Iterator[Finding]:
    """Report each token of the webhook that is missing, or that Alertmanager cannot read."""
    for file in files:
        if not is_visible_file(file):
            yield Finding(f"{file} does not exist, or this user cannot see it", make_token(file, account))
        elif account is not None and (repair := _repair(file, account)):
            yield Finding(
                f"Alertmanager runs as {account.name} and cannot read {file}: its alerts never reach the remediator",
                repair,
            )


def check_readers(files: Iterable[Path]) -> Iterator[Finding]:
    """Report each file that every user can read."""
    for file in files:
        if _is_public(file):
            yield Finding(f"every user of this machine can read {file}", f"chmod o-rwx {file}")


def check_passwords(inventory: Inventory) -> Iterator[Finding]:
    """Report each password file with which the remediator would not start."""
    for found in password_findings(inventory):
        problem, _, remedy = found.reason.rpartition("; ")
        yield Finding(f"{'.'.join(found.path)}: {problem}", remedy)


def files_of(inventory: Inventory) -> Sequence[Path]:
    """Return the files of secrets that the inventory names, each once."""
    return list(dict.fromkeys(_files_in(inventory)))


def _files_in(block: Any) -> Iterator[Path]:
    if isinstance(block, Section):
        for each in fields(block):
            value = getattr(block, each.name)
            if each.name.endswith("_file") and isinstance(value, Path):
                yield value
            else:
                yield from _files_in(value)
    elif isinstance(block, dict):
        for value in block.values():
            yield from _files_in(value)


def _repair(file: Path, account: Account) -> str | None:
    try:
        for folder in reversed(file.absolute().parents):
            if not account.may(stat.S_IXOTH, folder.stat()):
                return f"chmod o+x {folder}"
        readable = account.may(stat.S_IROTH, file.stat())
    except OSError:
        return None  # this user cannot see it either
    return None if readable else f"chgrp {account.group} {file} && chmod 640 {file}"


def _is_public(file: Path) -> bool:
    """Return whether every user can pass all folders and read the file."""
    stranger = Account("", -1, frozenset())
    try:
        folders = all(stranger.may(stat.S_IXOTH, folder.stat()) for folder in file.absolute().parents)
        return folders and stranger.may(stat.S_IROTH, file.stat())
    except OSError:
        return False
