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
def workspace() -> Iterator[Path]:
    """A new folder in TMPDIR, removed afterwards with all that is in it. Leftovers of our user are removed first.

    Raises:
        OSError: there can be none.
    """
    _remove_leftovers()
    folder, held = _made()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _made() -> tuple[Path, int]:
    """Between its making and its lock another process may take it for a leftover; then the next one is tried."""
    for _ in range(ATTEMPTS):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        if (held := _lock(folder)) is not None:
            return folder, held
    raise OSError(f"{tempfile.gettempdir()}: folders can not be locked here; point TMPDIR to another file system")


def _remove_leftovers() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if (held := _lock(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds `folder` until it is closed; None if somebody else does, or it is not ours, or gone."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(held).st_uid == os.getuid() and folder.exists():
            return held
    except OSError:
        pass
    os.close(held)
    return None
