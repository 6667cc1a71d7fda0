"""Finds a way to run PostgreSQL, which refuses to run as root, from wherever the checkout is.

1. An ordinary user: as oneself.
2. Root: in a user namespace in which root is called `nobody`. To the kernel it is still the owner of its files, so a
   checkout that only root may enter is no obstacle. The same for a user without an account (a container started with
   any number): PostgreSQL insists on a name.
3. Root where user namespaces are refused (containers, change-rooted systems): as the real user `nobody`, with copies of
   programs and data in a temporary folder, since `nobody` may not enter the checkout.
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
# All that PostgreSQL and pgbouncer need of Debian's packages (the others are four times as big), and of a wheel.
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
    """How and where PostgreSQL runs: `prefix` goes before each command; `user` is the uid to drop to, None for none."""

    packages: Path
    data: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None

    def command(self, program: str, *arguments: str | Path) -> list[str | Path]:
        """An argument list that starts one of PostgreSQL's programs here."""
        return [*self.prefix, self.packages / "launchers" / program, *arguments]

    def run(self, program: str, *arguments: str | Path, text: str = "", env: Mapping[str, str] | None = None) -> None:
        """Runs a program to its end, with `text` as its input. Raises ServerError with its last words."""
        result = _run(self.command(program, *arguments), self.user, text, env)
        if result.returncode != 0:
            message = (result.stderr.strip() or "no message").splitlines()[-1]
            raise ServerError(f"{program} failed: {message}", str(self.data), "mend it and start again")

    def own(self, *paths: Path) -> None:
        """Gives files that we wrote to the user that PostgreSQL runs as."""
        if self.user is not None:
            for path in paths:
                os.chown(path, self.user, self.user, follow_symlinks=False)

    def own_all(self, folder: Path) -> None:
        """Gives a whole folder to that user."""
        self.own(folder, *folder.rglob("*"))


def find_place(folder: Path, packages: Path) -> Place:
    """The place of the server out of `packages` whose files belong in `folder`; the same until `leave_place`."""
    if _is_ordinary(os.geteuid()):
        return Place(packages, folder / "data")
    if _link(folder).is_symlink():
        return _temporary_place(_link(folder).readlink())
    prefix = _namespace_prefix()
    if namespace_works(prefix, folder, packages):
        return Place(packages, folder / "data", prefix)
    if os.geteuid() != 0:
        raise ServerError(f"user {os.geteuid()} has no account", "/etc/passwd", "PostgreSQL needs one: add it")
    return _move_to_temporary_place(folder, packages)


def leave_place(folder: Path) -> None:
    """Removes the temporary folder, if there is one."""
    link = _link(folder)
    if link.is_symlink() and link.readlink().name.startswith(_PREFIX):
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()


def namespace_works(prefix: Sequence[str], folder: Path, packages: Path) -> bool:
    """Whether `folder` and the programs can be used from inside a user namespace.

    Root has no power over others' folders in there: a checkout below a folder that only someone else may enter is
    out of reach.
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
    """Remembers the temporary folder, for whoever stops the server later."""
    return folder / "elsewhere"


def _temporary_place(temporary: Path) -> Place:
    return Place(temporary / "packages", temporary / "data", user=pwd.getpwnam("nobody").pw_uid)


def _move_to_temporary_place(folder: Path, packages: Path) -> Place:
    """Tries the usual temporary folders: some are mounted without the right to execute, or closed to others."""
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
        "PostgreSQL cannot run as root, and no other way works here", str(folder), "run as an ordinary user"
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
        # The caller's folder may be closed to the user that we drop to.
        cwd="/",
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        env={**os.environ, "TZ": "UTC", **(env or {})},
    )
