"""What a listing of backups holds: which objects are whole backups, which are not (yet), which are markers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from runbookd.inventory import BackupNames, ProofKind, parse_marker_name

if TYPE_CHECKING:
    from obstore import ObjectMeta  # exists for type checkers only


class IncompleteReason(StrEnum):
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
class CompleteBackup:
    """A whole backup. `made_at` is seconds since 1970; `size` is bytes, None where a report does not tell it."""

    name: str
    made_at: float
    size: int | None
    etag: str | None = None


@dataclass(frozen=True)
class IncompleteBackup:
    """Something that is named like a backup and is none."""

    made_at: float
    reason: IncompleteReason


@dataclass(frozen=True)
class MarkerFile:
    """A marker, not read yet, and the backup that it is about; None where that is gone."""

    stored_object: StoredObject
    proof: ProofKind
    backup: CompleteBackup | None


@dataclass(frozen=True)
class Contents:
    """What was listed. `backups` are the newest first; `unmatched` objects have names of neither kind."""

    backups: tuple[CompleteBackup, ...] = ()
    incomplete_backups: tuple[IncompleteBackup, ...] = ()
    markers: tuple[MarkerFile, ...] = ()
    unmatched: int = 0

    def incomplete_counts(self) -> dict[IncompleteReason, int]:
        """How many of each kind came after the newest backup. Older ones are scrap of a problem that is over."""
        newest = self.backups[0].made_at if self.backups else float("-inf")
        reasons = [each.reason for each in self.incomplete_backups if each.made_at > newest]
        return {reason: reasons.count(reason) for reason in IncompleteReason}


def stored_objects(metas: Iterable["ObjectMeta"]) -> list[StoredObject]:
    """The objects of a listing in our own words, without those of folders below."""
    return [
        StoredObject(each["path"], each["size"], each["last_modified"].timestamp(), each.get("e_tag"))
        for each in metas
        if "/" not in each["path"]
    ]


@dataclass(frozen=True)
class BackupClassifier:
    """Tells backups by `names` from other objects; their date is the name's or the storage's."""

    names: BackupNames
    dated_by: Literal["name", "last_modified"] = "name"

    def classify(self, objects: Iterable[StoredObject], now: float) -> Contents:
        """Return what `objects` are, at `now` (seconds since 1970)."""
        results = [(each, self._classify_one(each, now)) for each in objects]
        backups = {result.name: result for _, result in results if isinstance(result, CompleteBackup)}
        rest = [each for each, result in results if result is None]
        markers = tuple(_markers(rest, backups))
        return Contents(
            tuple(sorted(backups.values(), key=lambda backup: (backup.made_at, backup.name), reverse=True)),
            tuple(result for _, result in results if isinstance(result, IncompleteBackup)),
            markers,
            len(rest) - len(markers),
        )

    def _classify_one(self, item: StoredObject, now: float) -> CompleteBackup | IncompleteBackup | None:
        if date := self.names.date_of(item.name):
            return self._validate(item, self._date(date, item), now)
        if date := self.names.date_of_partial(item.name):
            return IncompleteBackup(self._date(date, item), IncompleteReason.UPLOADING)
        return None

    def _validate(self, item: StoredObject, made_at: float, now: float) -> CompleteBackup | IncompleteBackup:
        """A date to come would hide that no backup is made for as long as it lies ahead."""
        if made_at > now:
            return IncompleteBackup(made_at, IncompleteReason.FUTURE)
        if item.size == 0:
            return IncompleteBackup(made_at, IncompleteReason.EMPTY)
        return CompleteBackup(item.name, made_at, item.size, item.etag)

    def _date(self, date_in_name: datetime, item: StoredObject) -> float:
        return date_in_name.timestamp() if self.dated_by == "name" else item.modified


def _markers(objects: Iterable[StoredObject], backups: dict[str, CompleteBackup]) -> Iterator[MarkerFile]:
    for each in objects:
        if match := parse_marker_name(each.name):
            yield MarkerFile(each, match[1], backups.get(match[0]))
