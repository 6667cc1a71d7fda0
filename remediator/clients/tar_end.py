"""Reads a tar archive as a stream, to tell whether it is whole.

A tar that was cut between two members lists without an error; only its end, two blocks of zeros, tells.
"""

from remediator.model.errors import BackupUnreadable

BLOCK = 512
_SIZE, _CHECKSUM = slice(124, 136), slice(148, 156)


class TarEnd:
    """Follows the members of an archive; `feed` takes its content piece by piece."""

    def __init__(self) -> None:
        self.members = 0
        self.first_name = b""
        self._skip = 0
        self._zero_blocks = 0
        self._buffer = b""

    def feed(self, content: bytes) -> None:
        """Read on.

        Raises:
            BackupUnreadable: a header is damaged.
        """
        data = self._buffer + content
        at = 0
        while at < len(data) and self._zero_blocks < 2:
            step = min(self._skip, len(data) - at)
            self._skip -= step
            at += step
            if self._skip == 0:
                if len(data) - at < BLOCK:
                    break
                self._read_header(data[at : at + BLOCK])
                at += BLOCK
        self._buffer = data[at:] if self._zero_blocks < 2 else b""

    def require_end(self) -> None:
        """Raise BackupUnreadable unless the end was reached."""
        if self._zero_blocks < 2:
            raise BackupUnreadable(f"its tar archive has no end after {self.members} members: it was cut")

    def _read_header(self, block: bytes) -> None:
        if block.count(0) == BLOCK:
            self._zero_blocks += 1
            return
        if self._zero_blocks or not _is_intact(block):
            raise BackupUnreadable(f"its tar archive is damaged after {self.members} members")
        if not self.members:
            self.first_name = block[:100].rstrip(b"\x00")
        self.members += 1
        size = _number(block[_SIZE])
        self._skip = size + -size % BLOCK


def is_tar(head: bytes) -> bool:
    """Return whether a backup that begins with `head` is a tar archive."""
    return len(head) >= BLOCK and head[257:262] == b"ustar"


def _is_intact(block: bytes) -> bool:
    try:
        checksum = _number(block[_CHECKSUM])
    except ValueError:
        return False
    return checksum == sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")


def _number(field: bytes) -> int:
    """Return a number of a header: octal digits, or for large files 0x80 and a binary number."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return int(field.strip(b" \x00") or b"0", 8)
