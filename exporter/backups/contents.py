"""Classifies the objects of a listing as complete or incomplete backups, or markers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from runbookd.inventory import BackupNames, ProofKind, parse_marker_name

if TYPE_CHECKING:
    from obstore import ObjectMeta  # exists for type checkers only


class IncompleteReason(StrEnum):
    """Why an object that is named like a backup does not count as one."""

    EMPTY = "empty"
    UPLOADING = "uploading"
    FUTURE = "future"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class StoredObject:
    """An object of a listing. `modified` is seconds since 1970."""

    name: str
    size: int
    modified: float
    etag: str | None


@dataclass(frozen=True)
class CompleteBackup:
    """A complete backup, made at `made_at` (seconds since 1970).

    `size` is bytes, None if a report omits it.
    """

    name: str
    made_at: float
    size: int | None
    etag: str | None = None


@dataclass(frozen=True)
class IncompleteBackup:
    """An object that is named like a backup and does not count as one."""

    made_at: float
    reason: IncompleteReason


@dataclass(frozen=True)
class MarkerFile:
    """A marker, not read yet, and its backup, or None if the backup is gone."""

    stored_object: StoredObject
    proof: ProofKind
    backup: CompleteBackup | None


@dataclass(frozen=True)
class Contents:
    """A classified listing. `backups` are newest first; `unmatched` counts all other objects."""

    backups: tuple[CompleteBackup, ...] = ()
    incomplete_backups: tuple[IncompleteBackup, ...] = ()
    markers: tuple[MarkerFile, ...] = ()
    unmatched: int = 0

    def incomplete_counts(self) -> dict[IncompleteReason, int]:
        """Count those after the newest backup by reason; older ones are leftovers."""
        newest = self.backups[0].made_at if self.backups else float("-inf")
        reasons = [each.reason for each in self.incomplete_backups if each.made_at > newest]
        return {reason: reasons.count(reason) for reason in IncompleteReason}


def stored_objects(metas: Iterable["ObjectMeta"]) -> list[StoredObject]:
    """Convert the objects of a listing, without those in subfolders."""
    return [
        StoredObject(each["path"], each["size"], each["last_modified"].timestamp(), each.get("e_tag"))
        for each in metas
        if "/" not in each["path"]
    ]


@dataclass(frozen=True)
class BackupClassifier:
    """Finds backups by `names`; their date is that of the name or that of the storage."""

    names: BackupNames
    dated_by: Literal["name", "last_modified"] = "name"

    def classify(self, objects: Iterable[StoredObject], now: float) -> Contents:
        """Classify `objects` at `now` (seconds since 1970)."""
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
        """Check date and size. A date in the future would hide missing backups until then."""
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
