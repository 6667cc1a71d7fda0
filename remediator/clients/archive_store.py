"""The place of archives: a folder on disk or an object storage, in which no archive replaces another.

An archive is complete and on the disk, or it does not exist, because the original is removed afterwards.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from remediator.clients.backup_store import BackupFolder
from remediator.clients.object_store import describe, open_url
from remediator.clients.upload import STORAGE_ERRORS, read_digest, upload
from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope
from runbookd.inventory import BackupNames, SecretError, read_storage_options
from runbookd.inventory.archive import Archive

CHECKSUM = ".sha256"
REQUEST_TIMEOUT = timedelta(seconds=30)
MAX_BYTES = 1024**3


class ArchiveStore(Protocol):
    """A place of archives. Every method may raise TargetUnreachable."""

    async def create(self, name: str, content: bytes) -> None:
        """Store an archive under a new name, and prove that it reads back."""

    async def read(self, name: str) -> bytes | None:
        """Return an archive, or None if there is no such one."""


async def store_archive(store: ArchiveStore, name: str, content: bytes) -> str:
    """Store an archive and its checksum, in the format of sha256sum; return the checksum."""
    digest = hashlib.sha256(content).hexdigest()
    await store.create(name, content)
    await store.create(name + CHECKSUM, f"{digest}  {name}\n".encode())
    return digest


async def read_archive(store: ArchiveStore, name: str, place: str) -> bytes | None:
    """Return an archive whose checksum is right, or None if there is no such archive.

    Raises:
        TargetUnreachable: its checksum is missing or wrong.
    """
    content = await store.read(name)
    if content is None:
        return None
    recorded = (await store.read(name + CHECKSUM) or b"").decode("ascii", "replace").partition(" ")[0]
    if recorded != hashlib.sha256(content).hexdigest():
        raise TargetUnreachable(f"{place}: the archive {name} is not the one that was written: its checksum differs")
    return content


def open_archive(scope: Scope, archive: Archive) -> ArchiveStore:
    """Return the place that the inventory names."""
    return _Folder(scope, archive.folder) if archive.folder is not None else _ObjectStorage(scope, archive)


@dataclass(frozen=True)
class _Folder:
    """A folder on disk. A file gets its name only once it is on the disk."""

    scope: Scope
    path: Path

    async def create(self, name: str, content: bytes) -> None:
        with _translate(self.scope):
            await asyncio.to_thread(self._create, name, content)

    async def read(self, name: str) -> bytes | None:
        with _translate(self.scope):
            return await asyncio.to_thread(self._read, name)

    def _create(self, name: str, content: bytes) -> None:
        partial = f".{name}.partial"
        with _directory(self.path) as directory:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(partial, flags, 0o600, dir_fd=directory), "wb") as file:
                try:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                    os.link(partial, name, src_dir_fd=directory, dst_dir_fd=directory)  # never replaces a file
                finally:
                    os.unlink(partial, dir_fd=directory)
            os.fsync(directory)
        if self._read(name) != content:
            raise OSError(0, f"{name} reads back with another content")

    def _read(self, name: str) -> bytes | None:
        with _directory(self.path) as directory:
            try:
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                return file.read(MAX_BYTES)


@dataclass(frozen=True)
class _ObjectStorage:
    """A folder of an object storage."""

    scope: Scope
    archive: Archive

    async def create(self, name: str, content: bytes) -> None:
        with _translate(self.scope), tempfile.NamedTemporaryFile(prefix="runbook-archive-") as file:
            file.write(content)
            file.flush()
            await upload(self._folder, name, Path(file.name), len(content))
            if await read_digest(self._folder, name) != hashlib.sha256(content).hexdigest():
                raise OSError(0, f"{name} reads back with another content")

    async def read(self, name: str) -> bytes | None:
        with _translate(self.scope):
            try:
                return b"".join([chunk async for chunk in self._folder().stream(name)])
            except FileNotFoundError:
                return None

    @property
    def _folder(self) -> Callable[[], BackupFolder]:
        def open_again() -> BackupFolder:
            try:
                options = read_storage_options(self.archive.options, "archive.options_file", self.archive.options_file)
            except SecretError as error:
                raise TargetUnreachable(f"{self.scope.target}: {error}") from None
            store = open_url(self.scope, self.archive.url, options, REQUEST_TIMEOUT)
            return BackupFolder(store, BackupNames("%Y%m%d", ZoneInfo("UTC")))

        return open_again


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _translate(scope: Scope) -> Iterator[None]:
    try:
        yield
    except STORAGE_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else describe(error)
        raise TargetUnreachable(f"{scope.target}: the archive: {reason}") from None
