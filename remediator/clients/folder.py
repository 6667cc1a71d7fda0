"""A folder by its descriptor: no name, link or exchange of folders leads out of it.

Names are bytes. `encode_name` writes any of them exactly, in printable ASCII.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from remediator.model.errors import TargetUnreachable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PARENT = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # needs no right to list it
_PRINTABLE = " !#$&'()*+,-./:;<=>?@[]^_{|}~"  # everything but the percent sign, quotes and the backslash


def encode_name(name: bytes) -> str:
    """Return a name as printable ASCII, each other byte as %XX."""
    return quote_from_bytes(name, safe=_PRINTABLE)


def decode_name(text: str) -> bytes:
    """Return the name that `encode_name` wrote."""
    return unquote_to_bytes(text)


@dataclass(frozen=True)
class Folder:
    """An open folder."""

    path: Path
    descriptor: int

    @property
    def identity(self) -> str:
        """The device and the inode, which another folder at the same path does not have."""
        status = os.fstat(self.descriptor)
        return f"{status.st_dev}-{status.st_ino}"

    def names(self) -> Iterator[bytes]:
        """Yield the names of everything directly in the folder."""
        yield from map(os.fsencode, os.listdir(self.descriptor))  # noqa: PTH208 - by its descriptor

    def status(self, name: bytes) -> os.stat_result | None:
        """Return what has this name, not what a link points to; None if nothing has it."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def rename(self, name: bytes, new: bytes) -> None:
        """Rename a file to a name that nothing has."""
        os.rename(name, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def put_back(self, name: bytes, former: bytes) -> bool:
        """Rename a file to its former name unless that is taken by now."""
        try:
            os.link(name, former, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor, follow_symlinks=False)
        except FileExistsError:
            return False
        self.delete(name)
        return True

    def delete(self, name: bytes) -> None:
        """Delete the name; what a link points to stays."""
        os.unlink(name, dir_fd=self.descriptor)

    @contextmanager
    def writable(self, name: bytes) -> Iterator[int]:
        """Open a file for writing; yield its descriptor."""
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self.descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def is_plain_file(status: os.stat_result) -> bool:
    """Return whether it is a regular file with one name: a second one may belong to another program."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


@contextmanager
def open_folder(path: Path, target: object) -> Iterator[Folder]:
    """Open the folder one component at a time, so that no link leads elsewhere.

    Raises:
        TargetUnreachable: it does not exist, this user may not read it, or a component is a link or no folder.
    """
    descriptor = os.open("/", _PARENT)
    try:
        for depth, part in enumerate(path.parts[1:], start=2):
            flags = _FOLDER if depth == len(path.parts) else _PARENT
            inner = _open_in(descriptor, part, flags, Path(*path.parts[:depth]), target)
            os.close(descriptor)
            descriptor = inner
        yield Folder(path, descriptor)
    finally:
        with suppress(OSError):
            os.close(descriptor)


def _open_in(descriptor: int, part: str, flags: int, place: Path, target: object) -> int:
    try:
        return os.open(part, flags, dir_fd=descriptor)
    except NotADirectoryError:
        is_link = stat.S_ISLNK(os.stat(part, dir_fd=descriptor, follow_symlinks=False).st_mode)
        reason = "is a symbolic link; write the real path into the inventory" if is_link else "is no folder"
        raise TargetUnreachable(f"{target}: {place} {reason}") from None
    except OSError as error:
        raise TargetUnreachable(f"{target}: {place}: {error.strerror}; correct the path, or give the right") from None
