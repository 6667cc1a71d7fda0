"""Has the ledger for one process, and remembers how far the ledger had come.

The file `….lock` beside the ledger is locked as long as the process lives, and holds the newest hash of the audit
trail. A ledger that does not know that hash is not the one that was here last: it is older, or another.
"""

import fcntl
import os
from pathlib import Path

from remediator.model.errors import LedgerUnavailable

_HASH_DIGITS = 64  # of a hash


class LedgerLock:
    """The lock; the operating system gives it back however the process ends."""

    def __init__(self, ledger: Path) -> None:
        """Take it.

        Raises:
            LedgerUnavailable: another process has it, or the file is none that we can use.
        """
        _require_usable_file(ledger)
        file = Path(f"{ledger}.lock")
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerUnavailable(f"can not create {file}: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise LedgerUnavailable(f"another remediator has the ledger {ledger}; only one may act") from None

    def read_hash(self) -> str | None:
        """The newest hash of the audit trail, as far as it was noted; never a newer one than is durable."""
        return os.pread(self._descriptor, _HASH_DIGITS, 0).decode(errors="replace") or None

    def write_hash(self, head: str) -> None:
        """Not synced: after a power cut it may say less than it could, which does no harm."""
        os.pwrite(self._descriptor, head.encode(), 0)

    def close(self) -> None:
        os.close(self._descriptor)


def _require_usable_file(ledger: Path) -> None:
    if ledger.is_dir():
        raise LedgerUnavailable(f"{ledger} is a folder; name a file in it")
    # What was committed lately is in a file beside the name, so under another name it would be missing.
    if ledger.exists() and ledger.stat().st_nlink > 1:
        raise LedgerUnavailable(f"{ledger} has another name (a hard link), which would split it; remove that name")
