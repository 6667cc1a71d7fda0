"""Whether the ledger's files are still those that were opened.

SQLite goes on writing to a file that was removed or replaced, and all of that is lost at the next start. So the names
are compared with what they led to when the ledger was opened: around every transaction, and after every commit of
deliveries.
"""

from pathlib import Path

FileIdentity = tuple[int, int] | None


class LedgerFiles:
    """The ledger, and the two files beside it that a connection keeps."""

    def __init__(self, ledger: Path) -> None:
        self._paths = [ledger, Path(f"{ledger}-wal"), Path(f"{ledger}-shm")]
        self._identities: list[FileIdentity] = []

    def remember(self) -> None:
        """They are the right ones now."""
        self._identities = [_identity(path) for path in self._paths]

    def replacement_error(self) -> str | None:
        """In words for people, which of them is gone; it may come back."""
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
