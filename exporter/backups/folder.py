"""A folder of backups that is listed wholly at each reading: few objects, or a storage that does not sort them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from math import ceil

import obstore
from obstore.store import ObjectStore

from exporter.backups.contents import (
    BackupClassifier,
    CompleteBackup,
    Contents,
    IncompleteBackup,
    IncompleteReason,
    StoredObject,
    stored_objects,
)
from runbookd.inventory import BackupNames

# S3, GCS and Azure all list at most so many (Azure 5000) in one answer.
PAGE = 1000
FOLDER_PAGES = 2
"""How much of the newest folder is looked at, where each backup is one."""


@dataclass
class Tally:
    """Requests for listings, since the start."""

    requests: int = 0


@dataclass(frozen=True)
class Listing:
    """What one reading of a source found. Times are seconds since 1970, sizes are bytes.

    `recent` holds at least the newest backups; `count` and `size` are about all that were counted, which are all that
    there are unless `truncated`. `encrypted` is None where the source does not tell.
    """

    recent: Contents
    count: int
    size: int
    oldest_at: float | None
    checked_at: float
    truncated: bool = False
    encrypted: bool | None = None


class Folder(ABC):
    """Where backups lie. It may remember what it saw, and is asked by one task at a time."""

    @abstractmethod
    async def read(self, store: ObjectStore, now: float) -> Listing:
        """List as much as is needed. Raises obstore's BaseError."""


@dataclass
class WholeFolder(Folder):
    """Everything, at each reading."""

    classifier: BackupClassifier
    tally: Tally

    async def read(self, store: ObjectStore, now: float) -> Listing:
        self.tally.requests += 1
        response = await obstore.list_with_delimiter_async(store)
        self.tally.requests += max(ceil(len(response["objects"]) / PAGE), 1) - 1
        # Parsing the dates of a hundred thousand names takes a second, in which no scrape would be answered.
        contents = await asyncio.to_thread(lambda: self.classifier.classify(stored_objects(response["objects"]), now))
        return listing_of(contents, now)


def listing_of(contents: Contents, now: float) -> Listing:
    """What is known where `contents` are all that there is."""
    size = sum(backup.size or 0 for backup in contents.backups)
    oldest_at = contents.backups[-1].made_at if contents.backups else None
    return Listing(contents, len(contents.backups), size, oldest_at, now)


@dataclass
class FolderOfFolders(Folder):
    """Each backup is a folder whose name is a date, as `aws s3 sync` into one of the day leaves them.

    The folders are listed, and the objects of the newest alone: its size is known while it is small enough, and those
    of the others if they were the newest once.
    """

    names: BackupNames
    tally: Tally
    _sizes: dict[str, int | None] = field(default_factory=dict)

    async def read(self, store: ObjectStore, now: float) -> Listing:
        self.tally.requests += 1
        response = await obstore.list_with_delimiter_async(store)
        folders = [path.rstrip("/") for path in response["common_prefixes"]]
        self.tally.requests += max(ceil(len(folders) / PAGE), 1) - 1
        dates = {path: date.timestamp() for path in folders if (date := self.names.date_of(f"{path}/"))}
        unmatched = len(folders) - len(dates) + len(response["objects"])
        backups, incomplete = await self._classify(store, dates, now)
        return listing_of(Contents(backups, incomplete, (), unmatched), now)

    async def _classify(
        self, store: ObjectStore, dates: Mapping[str, float], now: float
    ) -> tuple[tuple[CompleteBackup, ...], tuple[IncompleteBackup, ...]]:
        """Which folders are backups, the newest first, and which are not."""
        past = sorted((path for path in dates if dates[path] <= now), key=lambda path: dates[path], reverse=True)
        self._sizes = {path: self._sizes[path] for path in past if path in self._sizes}
        empty = [path for path in past[:1] if await self._folder_size(store, path) == 0]
        incomplete = [IncompleteBackup(dates[path], IncompleteReason.EMPTY) for path in empty]
        incomplete += [IncompleteBackup(at, IncompleteReason.FUTURE) for at in dates.values() if at > now]
        backups = (CompleteBackup(path, dates[path], self._sizes.get(path)) for path in past if path not in empty)
        return tuple(backups), tuple(incomplete)

    async def _folder_size(self, store: ObjectStore, path: str) -> int | None:
        """The bytes of a folder, or None where it holds too much to be counted."""
        sizes, page_count = 0, 0
        async for page in list_pages(store, self.tally, prefix=path):
            sizes, page_count = sizes + sum(each.size for each in page), page_count + 1
            if page_count == FOLDER_PAGES and len(page) == PAGE:
                self._sizes[path] = None
                return None
        self._sizes[path] = sizes
        return sizes


async def list_pages(
    store: ObjectStore, tally: Tally, *, prefix: str | None = None, after: str = ""
) -> AsyncIterator[list[StoredObject]]:
    """List a page at a time, in the storage's order, the names after `after`; folders below count only for `prefix`.

    The next page is asked for only when it is wanted, and each is counted.
    """
    tally.requests += 1
    first = True
    async for chunk in obstore.list(store, prefix, offset=after or None, chunk_size=PAGE):
        tally.requests += not first
        first = False
        yield [
            StoredObject(each["path"], each["size"], each["last_modified"].timestamp(), each.get("e_tag"))
            for each in chunk
        ]
