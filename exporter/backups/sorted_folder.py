"""A folder of backups in a storage that lists by name, with names that sort by date.

A reading costs one request, and every other reading a second one, for any number of old backups:

- the window: all names after a point shortly before the newest backups, known from the previous reading. At the start,
  and when the window has become too small or too large, a new one is searched by date;
- the census: all names before the window, one page per reading, for the count, the total size and the oldest date. It
  restarts once a day. Until the first census is complete, the listing is `truncated`.

Each reading lists a folder of up to two pages completely, which costs as little.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from obstore.store import ObjectStore

from exporter.backups.contents import BackupClassifier, CompleteBackup, Contents, MarkerFile, StoredObject
from exporter.backups.folder import Folder, Listing, listing_of
from exporter.backups.listing import PAGE, Tally, is_odd, list_pages
from runbookd.inventory import BackupNames, key_before

WINDOW_SIZE = 8
"""Backups in the window: the newest, and those whose sizes are compared with it."""
WHOLE_PAGES = 2
FIRST_SPAN = 9 * 86_400.0  # seconds; enough for WINDOW_SIZE daily backups if one was missed
SEARCH_STEPS = 24  # halvings from decades to seconds
CENSUS_EVERY = 86_400.0
MAX_MARKERS = 8


@dataclass(frozen=True)
class ListingPage:
    """One page of a listing, without objects in subfolders; `end` is its last name.

    `last` means that no later page can hold backups up to now.
    """

    objects: tuple[StoredObject, ...]
    end: str
    last: bool


@dataclass(frozen=True)
class CensusTotals:
    """Totals of the backups before the window; all names up to `position` are counted."""

    position: str
    count: int = 0
    size: int = 0
    oldest_at: float | None = None
    markers: tuple[MarkerFile, ...] = ()
    complete: bool = False

    def plus(self, backups: Iterable[CompleteBackup], markers: Iterable[MarkerFile], position: str) -> "CensusTotals":
        """Return the totals with further backups, whose names come after `position`."""
        batch = list(backups)
        dates = [backup.made_at for backup in batch]
        return replace(
            self,
            position=position,
            count=self.count + len(batch),
            size=self.size + sum(backup.size or 0 for backup in batch),
            oldest_at=min(dates, default=None) if self.oldest_at is None else self.oldest_at,
            # Restore markers are rare, verify markers frequent, so the newest of either kind are kept.
            markers=_newest_markers((*self.markers, *markers)),
        )


class SortedFolder(Folder):
    """Lists the window, and counts older backups one page at a time."""

    def __init__(self, names: BackupNames, tally: Tally) -> None:
        self._names, self._classifier, self._tally = names, BackupClassifier(names), tally
        self._first, self._end = names.first_key(), names.last_key()
        self._after: str | None = None
        """The window holds the names after this one; None while everything is listed."""
        self._older = self._census = CensusTotals(self._first)
        self._census_at = float("-inf")
        self._readings = self._window_count = 0

    async def read(self, store: ObjectStore, now: float) -> Listing:
        """List the window, and continue the census."""
        contents = await self._read_window(store, now)
        if contents is None:
            listing, low = await self._read_all(store, now)
            if listing is not None:
                self._after = None
                return listing
            contents = await self._move_window(store, now, low)
        await self._continue_census(store, now)
        contents = self._slide_window(contents)
        self._window_count = len(contents.backups)
        return self._listing(contents, now)

    async def _read_all(self, store: ObjectStore, now: float) -> tuple[Listing | None, float]:
        """Return the listing of a small folder, or a time after which there is more than a page."""
        objects: list[StoredObject] = []
        page_count, contents = 0, Contents()
        async for page in self._listing_pages(store, self._first):
            page_count += 1
            objects += page.objects
            if page.last:
                return listing_of(self._classifier.classify(objects, now), now), 0.0
            if page_count == WHOLE_PAGES:
                break
            contents = self._classifier.classify(page.objects, now)
        else:
            return listing_of(self._classifier.classify(objects, now), now), 0.0
        return None, contents.backups[0].made_at if contents.backups else 0.0

    async def _read_window(self, store: ObjectStore, now: float) -> Contents | None:
        """Return the window, or None if it does not exist yet, has lost backups or exceeds a page."""
        if self._after is None:
            return None
        page = await self._first_page(store, self._after, now)
        contents = self._classifier.classify(page.objects, now)
        return contents if page.last and len(contents.backups) >= self._window_count else None

    async def _move_window(self, store: ObjectStore, now: float, low: float) -> Contents:
        after, contents = await self._search_window(store, now, low)
        if self._after is None or after < self._after:  # the new window may contain backups that the census counted
            self._older = self._census = CensusTotals(self._first)
        self._after = after
        return contents

    async def _search_window(self, store: ObjectStore, now: float, low: float) -> tuple[str, Contents]:
        """Find a window of one page with enough backups between `low` and now.

        A window that starts at `low` exceeds a page.

        The search doubles the window while it holds too few backups and halves it while it exceeds a page.
        """
        best: tuple[str, Contents] | None = None
        start, high = max(now - FIRST_SPAN, (low + now) / 2), now
        for _ in range(SEARCH_STEPS):
            after = max(self._names.key_at(datetime.fromtimestamp(start, UTC)), self._first)
            page = await self._first_page(store, after, now)
            contents = self._classifier.classify(page.objects, now)
            if page.last:
                best, high = (after, contents), start
                if len(contents.backups) >= WINDOW_SIZE:
                    break
            else:
                best, low = best or (after, contents), start
            if high - low < 1:
                break
            wider = now - 2 * (now - start)
            start = wider if page.last and wider > low else (low + high) / 2
        assert best is not None  # set by the first step  # noqa: S101
        return best

    async def _continue_census(self, store: ObjectStore, now: float) -> None:
        """Continue the census at every other reading, so that requests stay at 1.5 per reading."""
        self._readings += 1
        if self._readings % 2 == 0 or (self._older.complete and now - self._census_at < CENSUS_EVERY):
            return
        window_start = self._after or ""
        page = await self._first_page(store, self._census.position, now)
        older_objects = [each for each in page.objects if each.name <= window_start]
        contents = self._classifier.classify(older_objects, now)
        if page.last or page.end > window_start:
            self._older = replace(self._census.plus(contents.backups, contents.markers, window_start), complete=True)
            self._census, self._census_at = CensusTotals(self._first), now
        else:
            self._count_page(contents, page.end)

    def _count_page(self, contents: Contents, last: str) -> None:
        """Count a page except for its last backup, whose markers may be on the next page."""
        position = key_before(contents.backups[0].name) if contents.backups else last
        if position <= self._census.position:
            position = last
        self._census = self._census.plus(
            (backup for backup in contents.backups if backup.name <= position),
            (marker for marker in contents.markers if marker.stored_object.name <= position),
            position,
        )
        if not self._older.complete:
            self._older = self._census
        # Deletions start with the oldest backups, which the first page of a census already shows.
        self._older = replace(self._older, oldest_at=self._census.oldest_at)

    def _slide_window(self, contents: Contents) -> Contents:
        """Start the next window just before the newest backups; those before it count as older."""
        if len(contents.backups) <= WINDOW_SIZE:
            return contents
        after = key_before(contents.backups[WINDOW_SIZE - 1].name)
        leaving = [backup for backup in contents.backups if self._after is not None and backup.name <= after]
        leaving_markers = [marker for marker in contents.markers if marker.stored_object.name <= after]
        if self._older.complete:
            self._older = self._older.plus(leaving, leaving_markers, after)
        self._after = after
        remaining = tuple(backup for backup in contents.backups if backup.name > after)
        markers = tuple(marker for marker in contents.markers if marker.stored_object.name > after)
        return replace(contents, backups=remaining, markers=markers)

    def _listing(self, contents: Contents, now: float) -> Listing:
        older, window = self._older, listing_of(contents, now)
        markers = (*contents.markers, *older.markers)
        return replace(
            window,
            recent=replace(contents, markers=markers),
            count=window.count + older.count,
            size=(window.size or 0) + older.size,
            oldest_at=older.oldest_at if older.oldest_at is not None else self._oldest_so_far(window),
            truncated=not older.complete,
        )

    def _oldest_so_far(self, window: Listing) -> float | None:
        return window.oldest_at if self._older.complete else None

    async def _first_page(self, store: ObjectStore, after: str, now: float) -> ListingPage:
        async for page in self._listing_pages(store, after):
            return replace(page, last=page.last or self._is_future(page, now))
        return ListingPage((), "", last=True)

    async def _listing_pages(self, store: ObjectStore, after: str) -> AsyncIterator[ListingPage]:
        async for objects in list_pages(store, self._tally, after=after):
            in_range = sum(each.name < self._end for each in objects)
            yield ListingPage(
                tuple(each for each in objects if self._counts(each)),
                objects[-1].name,
                last=len(objects) < PAGE or in_range < len(objects),
            )

    def _counts(self, each: StoredObject) -> bool:
        """Return whether an object is one of the folder; an odd name counts as one, wherever it is."""
        return is_odd(each.name) or ("/" not in each.name and each.name < self._end)

    def _is_future(self, page: ListingPage, now: float) -> bool:
        """Return whether the page reaches beyond now; later pages cannot hold backups."""
        dates = (self._names.date_of(each.name) for each in reversed(page.objects))
        last = next((date for date in dates if date is not None), None)
        return last is not None and last.timestamp() > now


def _newest_markers(markers: tuple[MarkerFile, ...]) -> tuple[MarkerFile, ...]:
    by_date = sorted(
        markers, key=lambda marker: (marker.stored_object.modified, marker.stored_object.name), reverse=True
    )
    newest_of_kind: list[MarkerFile] = []
    for marker in by_date:
        if sum(other.proof is marker.proof for other in newest_of_kind) < MAX_MARKERS:
            newest_of_kind.append(marker)
    return tuple(newest_of_kind)
