"""Folders of backups that each reading lists completely, for lack of a sorted listing."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from obstore.store import ObjectStore

from exporter.backups.contents import (
    BackupClassifier,
    CompleteBackup,
    Contents,
    IncompleteBackup,
    IncompleteReason,
)
from exporter.backups.listing import PAGE, Tally, list_level, list_pages
from runbookd.inventory import BackupNames

FOLDER_PAGES = 2
"""Pages of the newest folder that are listed for its size, if each backup is a folder."""


@dataclass(frozen=True)
class Listing:
    """The result of reading a source. Times are seconds since 1970, sizes are bytes.

    `recent` holds at least the newest backups; `count` and `size` cover all backups, or those counted so far if
    `truncated`. `size` is None if that of a backup is unknown. `encrypted` is None if the source does not report it.
    """

    recent: Contents
    count: int
    size: int | None
    oldest_at: float | None
    checked_at: float
    truncated: bool = False
    encrypted: bool | None = None

    @property
    def found_nothing(self) -> bool:
        """Whether the source had no object at all."""
        return not self.count and self.recent == Contents()


class Folder(ABC):
    """A place of backups, for one task at a time. It may remember earlier listings."""

    @abstractmethod
    async def read(self, store: ObjectStore, now: float) -> Listing:
        """List as many objects as needed. Raises obstore's BaseError."""


@dataclass
class WholeFolder(Folder):
    """Lists everything at each reading."""

    classifier: BackupClassifier
    tally: Tally

    async def read(self, store: ObjectStore, now: float) -> Listing:
        """List all objects of the folder."""
        level = await list_level(store, self.tally)
        # In a thread, because parsing the dates of 100,000 names takes a second and would block all scrapes.
        contents = await asyncio.to_thread(lambda: self.classifier.classify(level.objects, now))
        return listing_of(contents, now)


def total(sizes: Sequence[int | None]) -> int | None:
    """Return the sum of the sizes, or None if one is unknown."""
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def listing_of(contents: Contents, now: float) -> Listing:
    """Return the listing of a folder whose `contents` are complete."""
    size = total([backup.size for backup in contents.backups])
    oldest_at = contents.backups[-1].made_at if contents.backups else None
    return Listing(contents, len(contents.backups), size, oldest_at, now)


@dataclass
class FolderOfFolders(Folder):
    """Lists backups that are folders named by date, as from `aws s3 sync` into daily folders.

    Only the newest folder's objects are listed. Its size is known if they fit in FOLDER_PAGES pages; the sizes of the
    others are known if they were once the newest.
    """

    names: BackupNames
    tally: Tally
    _sizes: dict[str, int | None] = field(default_factory=dict)

    async def read(self, store: ObjectStore, now: float) -> Listing:
        """List the folders, and the objects of the newest one."""
        objects, folders = await list_level(store, self.tally)
        dates = {path: date.timestamp() for path in folders if (date := self.names.date_of(f"{path}/"))}
        unmatched = len(folders) - len(dates) + len(objects)
        backups, incomplete = await self._classify(store, dates, now)
        return listing_of(Contents(backups, incomplete, (), unmatched), now)

    async def _classify(
        self, store: ObjectStore, dates: Mapping[str, float], now: float
    ) -> tuple[tuple[CompleteBackup, ...], tuple[IncompleteBackup, ...]]:
        """Return the folders that are backups, newest first, and those that are not."""
        past = sorted((path for path in dates if dates[path] <= now), key=lambda path: dates[path], reverse=True)
        self._sizes = {path: self._sizes[path] for path in past if path in self._sizes}
        empty = [path for path in past[:1] if await self._folder_size(store, path) == 0]
        incomplete = [IncompleteBackup(dates[path], IncompleteReason.EMPTY) for path in empty]
        incomplete += [IncompleteBackup(at, IncompleteReason.FUTURE) for at in dates.values() if at > now]
        backups = (CompleteBackup(path, dates[path], self._sizes.get(path)) for path in past if path not in empty)
        return tuple(backups), tuple(incomplete)

    async def _folder_size(self, store: ObjectStore, path: str) -> int | None:
        """Return the bytes of a folder, or None if it exceeds FOLDER_PAGES pages."""
        sizes, page_count = 0, 0
        async for page in list_pages(store, self.tally, prefix=path):
            sizes, page_count = sizes + sum(each.size for each in page), page_count + 1
            if page_count == FOLDER_PAGES and len(page) == PAGE:
                self._sizes[path] = None
                return None
        self._sizes[path] = sizes
        return sizes
