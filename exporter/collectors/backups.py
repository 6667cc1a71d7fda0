"""Backups in object storage: when the newest was made, how big it is, how many there are.

The folder is listed in the background, so that a slow bucket never delays a scrape. The date of a backup is the one
in its name: the date of the object changes when somebody copies it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from exporter.collectors.base import Client, Collector, Reading, Slow
from exporter.errors import TargetMisconfigured
from exporter.metric import Metric, Sample, counter, gauge
from exporter.object_store import open_store, read_options, worded
from inventory import BackupTarget, Stack

UP = gauge("backup_up", "Whether the folder of the backups could be listed the last time (1).", "kind")
LAST_SUCCESS = gauge(
    "backup_last_success_timestamp_seconds",
    "Date in the name of the newest complete backup, in seconds since 1970; absent where there is none. Cached.",
    "kind",
)
LAST_SIZE = gauge("backup_last_size_bytes", "Size of the newest complete backup, in bytes. Cached.", "kind")
OBJECTS = gauge("backup_objects", "Complete backups in the folder. Cached.", "kind")
LAST_CHECK = gauge(
    "backup_last_check_timestamp_seconds", "When the folder was last listed, in seconds since 1970.", "kind"
)
LIST_REQUESTS = counter(
    "backup_list_requests_total", "Requests for listings, each of up to 1000 objects, which storage bills for.", "kind"
)
if TYPE_CHECKING:
    from obstore import ObjectMeta  # exists for type checkers only

# S3, GCS and Azure all list at most so many (Azure 5000) in one answer.
PAGE = 1000


@dataclass(frozen=True)
class Backup:
    """A complete backup. `made_at` is seconds since 1970."""

    made_at: float
    size: int


def complete_backups(objects: Iterable["ObjectMeta"], pattern: str, zone: ZoneInfo, now: float) -> Iterator[Backup]:
    """Return the objects that are backups: named after the pattern, not empty, and not from the future.

    An upload that still goes on has another name (`….partial`) or no bytes; a date to come is a clock or a name gone
    wrong, and would hide that no backup is made for as long as it lies ahead.
    """
    for found in objects:
        made_at = _date(found["path"].rpartition("/")[2], pattern, zone)
        if made_at is not None and made_at <= now and found["size"] > 0:
            yield Backup(made_at, found["size"])


def _date(name: str, pattern: str, zone: ZoneInfo) -> float | None:
    try:
        date = datetime.strptime(name, pattern)  # noqa: DTZ007 - the zone is the inventory's, unless the name has one
    except ValueError:
        return None
    return (date if date.tzinfo is not None else date.replace(tzinfo=zone)).timestamp()


class BackupsClient(Client):
    """Lists the folder."""

    def __init__(self, store: ObjectStore, collector: "BackupsCollector") -> None:
        self._store, self._collector = store, collector

    async def read(self, now: float) -> Reading:
        target = self._collector.target
        self._collector.list_requests += 1
        try:
            listing = await obstore.list_with_delimiter_async(self._store)
        except BaseError as error:
            raise worded(error) from None
        objects = listing["objects"]
        pages = max(ceil(len(objects) / PAGE), 1)
        self._collector.list_requests += pages - 1
        # Parsing the dates of a hundred thousand names takes a second, in which no scrape would be answered.
        zone = ZoneInfo(target.zone)
        backups = await asyncio.to_thread(lambda: list(complete_backups(objects, target.pattern, zone, now)))
        return Reading(tuple(self._samples(backups, now)), round_trips=pages)

    async def close(self) -> None:
        """There is no connection to close; the storage's client closes its own."""

    def _samples(self, backups: Sequence[Backup], now: float) -> Iterator[Sample]:
        kind = self._collector.target.kind
        yield OBJECTS(len(backups), kind)
        yield LAST_CHECK(now, kind)
        yield LIST_REQUESTS(self._collector.list_requests, kind)
        if backups:
            newest = max(backups, key=lambda backup: backup.made_at)
            yield LAST_SUCCESS(newest.made_at, kind)
            yield LAST_SIZE(newest.size, kind)


class BackupsCollector(Collector):
    """Backups of one kind in one folder."""

    metrics = (UP, LAST_SUCCESS, LAST_SIZE, OBJECTS, LAST_CHECK, LIST_REQUESTS)
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        self.target: BackupTarget = stack.backups[name]
        self.list_requests = 0
        self.slow = Slow(self._connect, self.target.refresh, f"1 request for {PAGE:,} objects")

    @property
    def up_labels(self) -> tuple[str, ...]:
        return (self.target.kind,)

    def most_series(self, metric: Metric) -> int:  # noqa: ARG002 - the only label is the target's kind
        return 1

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        try:
            read_options(self.target)
        except TargetMisconfigured as error:
            key, _, reason = str(error).partition(": ")
            yield key, reason

    async def _connect(self, budget: float) -> BackupsClient:  # noqa: ARG002 - the runner's limit holds
        return BackupsClient(open_store(self.target), self)
