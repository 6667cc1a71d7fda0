"""Detects that the ledger's files were removed or replaced while open.

SQLite keeps writing to such a file, and all of that is lost at the next start. Without the lock file, which looks like
a leftover, a second process would lock a new one and act as well. So around every transaction, and after every commit
of deliveries, the store checks that the paths still lead to the files that it opened.
"""

from pathlib import Path

FileIdentity = tuple[int, int] | None


class LedgerFiles:
    """The ledger's file, the two files that SQLite keeps beside it, and the lock."""

    def __init__(self, ledger: Path) -> None:
        self._paths = [ledger, *(Path(f"{ledger}{suffix}") for suffix in ("-wal", "-shm", ".lock"))]
        self._identities: list[FileIdentity] = []

    def remember(self) -> None:
        """Record the current files as the right ones."""
        self._identities = [_identity(path) for path in self._paths]

    def replacement_error(self) -> str | None:
        """Return which file was removed or replaced, with a remedy, or None."""
        for path, expected in zip(self._paths, self._identities, strict=False):
            if _identity(path) != expected:
                return f"{path} was removed or replaced while in use; put it back, or restart"
        return None


def _identity(path: Path) -> FileIdentity:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
