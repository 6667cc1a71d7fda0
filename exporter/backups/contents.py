"""What a listing of backups holds: which objects are whole backups, which are not (yet), which are markers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from runbookd.inventory import BackupNames, Proof, marked

if TYPE_CHECKING:
    from obstore import ObjectMeta  # exists for type checkers only


class Incomplete(StrEnum):
    """Why something that is named like a backup is none."""

    EMPTY = "empty"
    UPLOADING = "uploading"
    FUTURE = "future"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing tells it. `modified` is seconds since 1970."""

    name: str
    size: int
    modified: float
    etag: str | None


@dataclass(frozen=True)
class Backup:
    """A whole backup. `made_at` is seconds since 1970; `size` is bytes, None where a report does not tell it."""

    name: str
    made_at: float
    size: int | None
    etag: str | None = None


@dataclass(frozen=True)
class Unfinished:
    """Something that is named like a backup and is none."""

    made_at: float
    why: Incomplete


@dataclass(frozen=True)
class MarkerFile:
    """A marker, not read yet, and the backup that it is about; None where that is gone."""

    stored: StoredObject
    proof: Proof
    backup: Backup | None


@dataclass(frozen=True)
class Contents:
    """What was listed. `backups` are the newest first; `unmatched` objects have names of neither kind."""

    backups: tuple[Backup, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
    markers: tuple[MarkerFile, ...] = ()
    unmatched: int = 0

    def incomplete(self) -> dict[Incomplete, int]:
        """How many of each kind came after the newest backup. Older ones are scrap of a problem that is over."""
        newest = self.backups[0].made_at if self.backups else float("-inf")
        came = [each.why for each in self.unfinished if each.made_at > newest]
        return {why: came.count(why) for why in Incomplete}


def stored_objects(listed: Iterable["ObjectMeta"]) -> list[StoredObject]:
    """The objects of a listing in our own words, without those of folders below."""
    return [
        StoredObject(each["path"], each["size"], each["last_modified"].timestamp(), each.get("e_tag"))
        for each in listed
        if "/" not in each["path"]
    ]


@dataclass(frozen=True)
class Reader:
    """Tells backups by `names` from other objects; their date is the name's or the storage's."""

    names: BackupNames
    dated_by: Literal["name", "last_modified"] = "name"

    def read(self, objects: Iterable[StoredObject], now: float) -> Contents:
        """Return what `objects` are, at `now` (seconds since 1970)."""
        sorted_out = [(each, self._read(each, now)) for each in objects]
        backups = {found.name: found for _, found in sorted_out if isinstance(found, Backup)}
        rest = [each for each, found in sorted_out if found is None]
        markers = tuple(_markers(rest, backups))
        return Contents(
            tuple(sorted(backups.values(), key=lambda backup: (backup.made_at, backup.name), reverse=True)),
            tuple(found for _, found in sorted_out if isinstance(found, Unfinished)),
            markers,
            len(rest) - len(markers),
        )

    def _read(self, stored: StoredObject, now: float) -> Backup | Unfinished | None:
        if date := self.names.date_of(stored.name):
            return self._judged(stored, self._date(date, stored), now)
        if date := self.names.unfinished(stored.name):
            return Unfinished(self._date(date, stored), Incomplete.UPLOADING)
        return None

    def _judged(self, stored: StoredObject, made_at: float, now: float) -> Backup | Unfinished:
        """A date to come would hide that no backup is made for as long as it lies ahead."""
        if made_at > now:
            return Unfinished(made_at, Incomplete.FUTURE)
        if stored.size == 0:
            return Unfinished(made_at, Incomplete.EMPTY)
        return Backup(stored.name, made_at, stored.size, stored.etag)

    def _date(self, named: datetime, stored: StoredObject) -> float:
        return named.timestamp() if self.dated_by == "name" else stored.modified


def _markers(objects: Iterable[StoredObject], backups: dict[str, Backup]) -> Iterator[MarkerFile]:
    for each in objects:
        if about := marked(each.name):
            yield MarkerFile(each, about[1], backups.get(about[0]))
