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

MOMENT_SECONDS = 0.05
Identity = tuple[int, int] | None


class Files:
    """The ledger, and the two files beside it that a connection keeps."""

    def __init__(self, ledger: Path) -> None:
        self._paths = [ledger, Path(f"{ledger}-wal"), Path(f"{ledger}-shm")]
        self._known: list[Identity] = []
        self._looked_at = float("-inf")

    def remember(self) -> None:
        """They are the right ones now."""
        self._known = [_identity(path) for path in self._paths]

    def lost(self) -> str | None:
        """In words for people, which of them is gone; it may come back."""
        for path, known in zip(self._paths, self._known, strict=False):
            if _identity(path) != known:
                return f"{path} was removed or replaced while in use; put it back, or restart"
        self._looked_at = monotonic()
        return None

    def lost_lately(self) -> str | None:
        """The same, but not looked at again for a moment: at each delivery that takes as long as a tenth of its commit.

        What is removed takes along all that was committed before, so one that came a moment later is no worse off.
        """
        return self.lost() if monotonic() - self._looked_at > MOMENT_SECONDS else None


def _identity(path: Path) -> Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Lost(sqlite3.OperationalError):
    """What was committed is not where the ledger's name leads to."""


class WatchedConnection(sqlite3.Connection):
    """Looks after every commit whether it counts; `trouble` says why it does not."""

    trouble: Callable[[], str | None]

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        """As ever.

        Raises:
            Lost: it may have been committed, but to no avail.
        """
        cursor = super().execute(statement, *parameters)
        if not self.in_transaction and (trouble := self.trouble()) is not None:
            raise Lost(trouble)
        return cursor
