"""Finds a way to run PostgreSQL, which refuses to run as root, from any checkout.

1. Ordinary user: run as that user.
2. Root: run in a user namespace that maps root to `nobody`. For the kernel, root still owns its files, so this works in
   a checkout that only root may enter. The same for a user without an account (a container with an arbitrary uid):
   PostgreSQL requires a user name.
3. Root without user namespaces (containers, chroots): run as the real user `nobody`, with copies of programs and data
   in a temporary folder, because `nobody` may not enter the checkout.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.servers.errors import ServerError

_PREFIX = "runbookd-postgres-"
# The parts of Debian's packages (all of them would be five times as big) and of a wheel that PostgreSQL and pgbouncer
# need.
_PARTS = (
    "launchers",
    "usr/sbin",
    "usr/lib/postgresql",
    "usr/share/postgresql",
    "usr/lib/*-linux-gnu*",
    "lib/*-linux-gnu*",
    *("bin", "lib/postgresql", "share", "libs"),
)


@dataclass(frozen=True)
class Place:
    """How and where PostgreSQL runs. `prefix` precedes commands; `user` is the uid to drop to."""

    packages: Path
    data: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None

    def command(self, program: str, *arguments: str | Path) -> list[str | Path]:
        """Return the argument list that starts one of PostgreSQL's programs here."""
        return [*self.prefix, self.packages / "launchers" / program, *arguments]

    def run(self, program: str, *arguments: str | Path, text: str = "", env: Mapping[str, str] | None = None) -> None:
        """Run a program with `text` as input. Raises ServerError with its last line."""
        result = _run(self.command(program, *arguments), self.user, text, env)
        if result.returncode != 0:
            message = (result.stderr.strip() or "no message").splitlines()[-1]
            raise ServerError(f"{program} failed: {message}", str(self.data), "fix the cause and start again")

    def own(self, *paths: Path) -> None:
        """Change the owner of files to the user that PostgreSQL runs as."""
        if self.user is not None:
            for path in paths:
                os.chown(path, self.user, self.user, follow_symlinks=False)

    def own_all(self, folder: Path) -> None:
        """Change the owner of a whole folder to that user."""
        self.own(folder, *folder.rglob("*"))


def find_place(folder: Path, packages: Path) -> Place:
    """Return the place to run a server with files in `folder`; stable until `leave_place`."""
    if _is_ordinary(os.geteuid()):
        return Place(packages, folder / "data")
    if _link(folder).is_symlink():
        return _temporary_place(_link(folder).readlink())
    prefix = _namespace_prefix()
    if namespace_works(prefix, folder, packages):
        return Place(packages, folder / "data", prefix)
    if os.geteuid() != 0:
        raise ServerError(f"user {os.geteuid()} has no account", "/etc/passwd", "add one: PostgreSQL requires it")
    return _move_to_temporary_place(folder, packages)


def leave_place(folder: Path) -> None:
    """Remove the temporary folder, if any."""
    link = _link(folder)
    if link.is_symlink() and link.readlink().name.startswith(_PREFIX):
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()


def namespace_works(prefix: Sequence[str], folder: Path, packages: Path) -> bool:
    """Return whether `folder` and the programs are usable inside a user namespace.

    In the namespace, root cannot enter a folder that only its owner may enter, such as the home of another user.
    """
    program = packages / "launchers" / "postgres"
    checks: list[list[str | Path]] = [[*prefix, "test", "-w", folder], [*prefix, program, "--version"]]
    try:
        return all(_run(check, None).returncode == 0 for check in checks)
    except OSError:
        return False


def _is_ordinary(user: int) -> bool:
    try:
        return pwd.getpwuid(user).pw_uid != 0
    except KeyError:
        return False


def _namespace_prefix() -> tuple[str, ...]:
    nobody = pwd.getpwnam("nobody")
    return ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}", "--")


def _link(folder: Path) -> Path:
    """Return the link to the temporary folder, for the process that stops the server later."""
    return folder / "elsewhere"


def _temporary_place(temporary: Path) -> Place:
    return Place(temporary / "packages", temporary / "data", user=pwd.getpwnam("nobody").pw_uid)


def _move_to_temporary_place(folder: Path, packages: Path) -> Place:
    """Try the usual temporary folders: some are mounted noexec, or are closed to other users."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - made by mkdtemp, private
        temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        place = _temporary_place(temporary)
        _copy_parts(packages, place)
        place.own(temporary)
        if _executes(place):
            _link(folder).symlink_to(temporary)
            return place
        shutil.rmtree(temporary)
    raise ServerError(
        "PostgreSQL refuses to run as root, and running as nobody failed", str(folder), "run as an ordinary user"
    )


def _copy_parts(source: Path, place: Place) -> None:
    for pattern in _PARTS:
        for part in source.glob(pattern):
            shutil.copytree(part, place.packages / part.relative_to(source), symlinks=True)


def _executes(place: Place) -> bool:
    try:
        return _run(place.command("postgres", "--version"), place.user).returncode == 0
    except OSError:
        return False


def _run(
    command: Sequence[str | Path], user: int | None, text: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        # The user that we drop to may lack access to the caller's folder.
        cwd="/",
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        env={**os.environ, "TZ": "UTC", **(env or {})},
    )
