"""A folder for one dump. If a crash leaves it behind, the next dump removes it.

The process that uses a folder holds a lock on it, which the kernel releases when the process ends. A folder without a
lock is therefore a leftover.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "runbook-backup-"
ATTEMPTS = 10


@contextmanager
def scratch_dir() -> Iterator[Path]:
    """Create a folder in TMPDIR and remove it afterwards.

    Leftovers of this user are removed first.

    Raises:
        OSError: the folder cannot be created or locked.
    """
    _remove_leftovers()
    folder, descriptor = _create_locked()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _create_locked() -> tuple[Path, int]:
    """Create a folder and lock it.

    Another process may remove it before it is locked, so this retries.
    """
    for _ in range(ATTEMPTS):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        if (descriptor := _lock(folder)) is not None:
            return folder, descriptor
    raise OSError(f"{tempfile.gettempdir()}: cannot lock folders here; point TMPDIR to another file system")


def _remove_leftovers() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if (descriptor := _lock(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Lock `folder` until the descriptor is closed, unless it is in use, gone or foreign."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_uid == os.getuid() and folder.exists():
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
