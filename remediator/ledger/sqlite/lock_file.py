"""Locks the ledger for one process, and remembers its newest audit hash.

The file `….lock` beside the ledger is locked while the process lives, and holds the newest hash of the audit trail. A
ledger without that hash is not the last one used here: it was restored or replaced.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from remediator.model.errors import LedgerUnavailable
from runbookd.visible import is_visible_file, is_visible_folder

_HASH_DIGITS = 64


class LedgerLock:
    """The lock of the ledger; the operating system releases it however the process ends."""

    def __init__(self, ledger: Path) -> None:
        """Take the lock.

        Raises:
            LedgerUnavailable: another process holds the lock, or the file is unusable.
        """
        _require_usable_file(ledger)
        file = Path(f"{ledger}.lock")
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerUnavailable(f"cannot create {file}: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise LedgerUnavailable(f"another remediator has the ledger {ledger}; stop it: only one may act") from None

    def read_hash(self) -> str | None:
        """Return the newest audit hash recorded here, which is never newer than the durable trail."""
        return os.pread(self._descriptor, _HASH_DIGITS, 0).decode(errors="replace") or None

    def write_hash(self, head: str) -> None:
        """Record the newest audit hash.

        It is not synced: an older hash, after a power cut or on a full disk, does no harm. The row is committed, so
        nothing may fail for want of it.
        """
        with suppress(OSError):
            os.pwrite(self._descriptor, head.encode(), 0)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def _require_usable_file(ledger: Path) -> None:
    if is_visible_folder(ledger):
        raise LedgerUnavailable(f"{ledger} is a folder; name a file in it")
    # Recent commits are in the -wal beside one name, so they would be missing under the other.
    if is_visible_file(ledger) and ledger.stat().st_nlink > 1:
        raise LedgerUnavailable(f"{ledger} has a second hard link, which would split it; remove the other name")
