"""Whether the ledger's files are still those that were opened.

SQLite goes on writing to a file that was removed or replaced, and all of that is lost at the next start. So the names
are compared with what they led to when the ledger was opened: before and after every transaction, and once a moment
while deliveries are kept.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

CACHE_SECONDS = 0.05
FileIdentity = tuple[int, int] | None


class LedgerFiles:
    """The ledger, and the two files beside it that a connection keeps."""

    def __init__(self, ledger: Path) -> None:
        self._paths = [ledger, Path(f"{ledger}-wal"), Path(f"{ledger}-shm")]
        self._identities: list[FileIdentity] = []
        self._checked_at = float("-inf")

    def remember(self) -> None:
        """They are the right ones now."""
        self._identities = [_identity(path) for path in self._paths]

    def replacement_error(self) -> str | None:
        """In words for people, which of them is gone; it may come back."""
        for path, expected in zip(self._paths, self._identities, strict=False):
            if _identity(path) != expected:
                return f"{path} was removed or replaced while in use; put it back, or restart"
        self._checked_at = monotonic()
        return None

    def replacement_error_cached(self) -> str | None:
        """The same, but not looked at again for a moment: at each delivery that takes as long as a tenth of its commit.

        What is removed takes along all that was committed before, so one that came a moment later is no worse off.
        """
        return self.replacement_error() if monotonic() - self._checked_at > CACHE_SECONDS else None


def _identity(path: Path) -> FileIdentity:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class LedgerFileReplaced(sqlite3.OperationalError):
    """What was committed is not where the ledger's name leads to."""


class WatchedConnection(sqlite3.Connection):
    """Looks after every commit whether it counts; `fault` says why it does not."""

    fault: Callable[[], str | None]

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        """As ever.

        Raises:
            LedgerFileReplaced: it may have been committed, but to no avail.
        """
        cursor = super().execute(statement, *parameters)
        if not self.in_transaction and (fault := self.fault()) is not None:
            raise LedgerFileReplaced(fault)
        return cursor
