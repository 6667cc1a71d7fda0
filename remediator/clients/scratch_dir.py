"""A folder for one dump, which no crash leaves behind for longer than until the next dump begins.

Who works in a folder holds a lock on it, which the kernel lets go when the process ends, however it ends. A folder that
nobody holds is a leftover.
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
    """A new folder in TMPDIR, removed afterwards with all that is in it. Leftovers of our user are removed first.

    Raises:
        OSError: there can be none.
    """
    _remove_leftovers()
    folder, descriptor = _create_locked()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _create_locked() -> tuple[Path, int]:
    """Between its making and its lock another process may take it for a leftover; then the next one is tried."""
    for _ in range(ATTEMPTS):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        if (descriptor := _lock(folder)) is not None:
            return folder, descriptor
    raise OSError(f"{tempfile.gettempdir()}: folders can not be locked here; point TMPDIR to another file system")


def _remove_leftovers() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if (descriptor := _lock(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds `folder` until it is closed; None if somebody else does, or it is not ours, or gone."""
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
