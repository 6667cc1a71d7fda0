"""A folder of backups in a storage, in which a new backup never replaces another."""

import asyncio
import hashlib
import mmap
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, InvalidPathError
from obstore.store import LocalStore, ObjectStore

from runbookd.inventory import (
    MAX_MARKER_BYTES,
    BackupNames,
    Marker,
    MarkerError,
    ProofKind,
    marker_name,
    read_marker,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta  # exists for type checkers only

MIN_BACKUPS = 16
LISTING_SPANS = (timedelta(days=9), timedelta(days=90))
PAGE_SIZE = 1000
# Names beyond this are ignored. It allows for clock differences, and for the hour that daylight saving time repeats.
FUTURE_TOLERANCE = timedelta(hours=1)
# Bytes. Only a single request can refuse to overwrite, and S3 takes at most 5 GiB in one.
MAX_SINGLE_PUT = 4 * 1024**3
PART_BYTES = 64 * 1024**2
CHUNK_BYTES = 1024**2
MARKER_MODE = 0o644  # the exporter reads it, as another user; the backup keeps the mode that the umask gives


@dataclass(frozen=True)
class BackupObject:
    """An object named like a backup.

    Its time is the name's, which copying the object does not change.
    """

    name: str
    at: datetime
    size: int
    etag: str | None

    @property
    def fingerprint(self) -> list[str | int | None]:
        """The values that identify the object's content (JSON)."""
        return [self.name, self.size, self.etag]


@dataclass(frozen=True)
class BackupFolder:
    """The folder of `store`, whose backups match `names`, with the dates in these, or of the storage.

    Every method may raise the storage's errors: obstore's BaseError, OSError, TimeoutError.
    """

    store: ObjectStore
    names: BackupNames
    dated_by_name: bool = True

    async def list_newest(self, now: datetime) -> list[BackupObject]:
        """List the newest backups, without empty objects and future names.

        At least MIN_BACKUPS are listed if the folder has them.

        If names sort by date, only the last days are listed, and earlier ones only if these are too few: a plan has
        seconds, and a folder may hold a million old backups.
        """
        for span in LISTING_SPANS if self.names.sorts_by_date and self.dated_by_name else ():
            pages = obstore.list(self.store, offset=self.names.key_at(now - span), chunk_size=PAGE_SIZE)
            try:
                backups = self._parse_entries([entry async for page in pages for entry in page], now)
            except InvalidPathError:
                break
            if len(backups) >= MIN_BACKUPS:
                return backups
        return await self.list_all(now)

    async def list_all(self, now: datetime) -> list[BackupObject]:
        """List all backups, the newest first, without empty objects and future names."""
        try:
            entries = (await obstore.list_with_delimiter_async(self.store))["objects"]
        except InvalidPathError:  # one name that is not text, or has a control character
            if not isinstance(self.store, LocalStore):
                raise
            names = await asyncio.to_thread(os.listdir, str(self.store.prefix))
            backups = [name for name in names if self.names.date_of(name) is not None]
            entries = [await obstore.head_async(self.store, name) for name in backups]
        return self._parse_entries(entries, now)

    def _parse_entries(self, entries: Iterable["ObjectMeta"], now: datetime) -> list[BackupObject]:
        backups = [
            BackupObject(entry["path"], at, entry["size"], entry.get("e_tag"))
            for entry in entries
            if (at := self._date_of(entry)) is not None and entry["size"] > 0 and at <= now + FUTURE_TOLERANCE
        ]
        return sorted(backups, key=lambda backup: (backup.at, backup.name), reverse=True)

    async def get(self, name: str) -> BackupObject | None:
        """Return the stored backup of that name, or None if there is no such object."""
        try:
            entry = await obstore.head_async(self.store, name)
        except FileNotFoundError:
            return None
        at = self._date_of(entry)
        return BackupObject(name, at, entry["size"], entry.get("e_tag")) if at is not None else None

    def _date_of(self, entry: "ObjectMeta") -> datetime | None:
        at = self.names.date_of(entry["path"])
        return at if at is None or self.dated_by_name else entry["last_modified"]

    async def size(self, name: str) -> int | None:
        """Return the object's size in bytes, or None if there is no such object."""
        try:
            return (await obstore.head_async(self.store, name))["size"]
        except FileNotFoundError:
            return None

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """Yield the object's content in chunks."""
        response = await obstore.get_async(self.store, name)
        async for chunk in response.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)

    async def digest(self, name: str) -> str | None:
        """Return the SHA-256 of the stored content, or None if there is no such object."""
        digest = hashlib.sha256()
        try:
            async for chunk in self.stream(name):
                digest.update(chunk)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    async def create(self, name: str, file: Path, size: int, *, conditional: bool = True) -> None:
        """Store `file` of `size` bytes as `name`.

        The name is always checked just before, because some storages ignore the condition of a request.

        Raises:
            AlreadyExistsError: the object exists, and stays as it is. Above 4 GiB, and without `conditional`, only the
                check ensures this.
        """
        if await self.size(name) is not None:
            raise AlreadyExistsError(f"{name} already exists")
        if size > MAX_SINGLE_PUT:
            await obstore.put_async(self.store, name, file, chunk_size=PART_BYTES, max_concurrency=2)
        elif conditional:
            await obstore.put_async(self.store, name, _map_file(file), mode="create", use_multipart=False)
        else:
            await obstore.put_async(self.store, name, _map_file(file), use_multipart=False)

    async def write_marker(self, marker: Marker) -> None:
        """Write the proof beside the backup, replacing an older one of the same kind."""
        name = marker_name(marker.backup, marker.proof)
        await obstore.put_async(self.store, name, marker.as_json(), use_multipart=False)
        if isinstance(self.store, LocalStore):
            _let_others_read(Path(str(self.store.prefix)) / name)

    async def read_marker(self, backup: BackupObject, proof: ProofKind) -> Marker | None:
        """Return the marker of `backup`; None if there is none, or if it is about other content."""
        try:
            answer = await obstore.get_async(self.store, marker_name(backup.name, proof))
            if answer.meta["size"] > MAX_MARKER_BYTES:
                return None
            marker = read_marker(bytes(await answer.bytes_async()))
        except (FileNotFoundError, MarkerError):
            return None
        is_about_it = marker.backup == backup.name and marker.proof is proof and marker.size == backup.size
        return marker if is_about_it and marker.etag in (None, backup.etag) else None

    async def remove(self, name: str) -> None:
        """Delete the object."""
        await obstore.delete_async(self.store, name)


def _let_others_read(marker: Path) -> None:
    with suppress(OSError):  # a file system without modes
        marker.chmod(MARKER_MODE)


def _map_file(file: Path) -> memoryview:
    """Map the file, so that a request needs little memory even for a large one.

    The map is never closed explicitly: a cancelled request may still be using it.
    """
    with file.open("rb") as content:
        return memoryview(mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ))
