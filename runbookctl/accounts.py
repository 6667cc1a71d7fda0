"""The user that Alertmanager runs as, and what it may read: the webhook's token has two readers."""

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

# The first 15 characters of the process' name; Debian's begins with its package's.
_PROCESSES = ("alertmanager", "prometheus-aler")
_DEBIAN_USER = "prometheus"


@dataclass(frozen=True)
class Account:
    """A user with its groups."""

    name: str
    user: int
    groups: frozenset[int]

    @property
    def group(self) -> str:
        """The name of its own group."""
        try:
            return grp.getgrgid(pwd.getpwuid(self.user).pw_gid).gr_name
        except KeyError:
            return self.name

    def may(self, wanted: int, status: os.stat_result) -> bool:
        """Return whether the permissions allow `wanted` (4: read, 1: pass); access lists are not read."""
        if self.user == 0:
            return True
        if status.st_uid == self.user:
            return bool(status.st_mode >> 6 & wanted)
        return bool(status.st_mode >> (3 if status.st_gid in self.groups else 0) & wanted)


def alertmanager_account(processes: Path = Path("/proc")) -> Account | None:
    """Return the user of a running Alertmanager, or else Debian's; None without either."""
    for folder in processes.glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().strip() in _PROCESSES:
                return _account_of(folder.stat().st_uid)
        except OSError:  # it has ended
            continue
    try:
        return _account_of(pwd.getpwnam(_DEBIAN_USER).pw_uid)
    except KeyError:
        return None


def make_token(file: Path, account: Account | None) -> str:
    """Return the command that makes a token which the remediator and Alertmanager can read."""
    group = account.group if account is not None else "ALERTMANAGERS_GROUP"
    install = f"sudo install -o $(id -un) -g {group} -m 640 /dev/stdin {file}"
    return f"sudo install -d -m 711 {file.parent} && openssl rand -hex 24 | {install}"


def share_token(file: Path, account: Account | None) -> str:
    """Return the command that lets Alertmanager's user read a token which exists."""
    group = account.group if account is not None else "ALERTMANAGERS_GROUP"
    return f"sudo chgrp {group} {file} && chmod 640 {file} && chmod 711 {file.parent}"


def _account_of(user: int) -> Account | None:
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        return None
    return Account(entry.pw_name, user, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)))
