"""Backups: when the newest was made, how big it is, how many there are, what proves that they can be restored.

They are read in the background, so that a slow bucket never delays a scrape. The date of a backup is the one in its
name: the date of the object changes when somebody copies it.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from exporter.backups.contents import BackupClassifier
from exporter.backups.listing import Folder, FolderOfFolders, Tally, WholeFolder
from exporter.backups.markers import ProofReader, Proofs
from exporter.backups.metrics import FAILED, LIST_REQUESTS, METRICS, SERIES, UP, samples_of
from exporter.backups.object_store import open_store, read_options, target_error
from exporter.backups.report_source import read_report
from exporter.backups.reports import FORMATS, ReportError
from exporter.backups.sorted_listing import SortedFolder
from exporter.collector import BackgroundReading, Client, Collector, Reading
from exporter.errors import Fault, TargetError, TargetMisconfigured, TargetRefused
from exporter.metric import Metric, Sample
from runbookd.inventory import BackupNames, BackupReport, BackupTarget, Stack

# They list in the order of names, and from any name on.
_SORTED_STORES = ("s3:", "s3a:", "gs:", "memory:")


def folder_of(target: BackupTarget, tally: Tally) -> Folder:
    """How the folder of `target` is listed at the least cost."""
    names = BackupNames(target.pattern, ZoneInfo(target.zone))
    if target.pattern.endswith("/"):
        return FolderOfFolders(names, tally)
    if target.dated_by == "name" and names.sorts_by_date and target.url.startswith(_SORTED_STORES):
        return SortedFolder(names, tally)
    return WholeFolder(BackupClassifier(names, target.dated_by), tally)


class BackupsClient(Client):
    """Lists the folder, and reads the markers."""

    def __init__(self, store: ObjectStore, collector: "BackupsCollector") -> None:
        self._store, self._collector = store, collector

    async def read(self, now: float) -> Reading:
        collector = self._collector
        before = collector.tally.requests
        with collector.record_faults():
            try:
                listing = await collector.folder.read(self._store, now)
            except BaseError as error:
                raise target_error(error) from None
            proofs = await collector.proofs.read(self._store, listing.recent.markers, now)
        collector.fault = None
        requests = collector.tally.requests - before + collector.proofs.requests
        return Reading(tuple(samples_of(listing, proofs, collector.target.kind)), round_trips=requests)

    async def close(self) -> None:
        """There is no connection to close; the storage's client closes its own."""


class ReportClient(Client):
    """Reads what a backup tool says."""

    def __init__(self, report: BackupReport, collector: "BackupsCollector") -> None:
        self._report, self._collector = report, collector

    async def read(self, now: float) -> Reading:
        with self._collector.record_faults():
            text = await read_report(self._report)
            try:
                listing = FORMATS[self._report.format](text.content, self._report.stanza, now, text.written_at)
            except ReportError as error:
                raise TargetRefused(f"this is no report of {self._report.format}: {error}", Fault.REPORT) from None
        self._collector.fault = None
        return Reading(tuple(samples_of(listing, Proofs(), self._collector.target.kind)), round_trips=1)

    async def close(self) -> None:
        """There is nothing to close."""


class BackupsCollector(Collector):
    """Backups of one kind in one place. What was seen there is kept from reading to reading."""

    metrics = METRICS
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        self.target: BackupTarget = stack.backups[name]
        self.tally, self.proofs = Tally(), ProofReader()
        self.folder = folder_of(self.target, self.tally)
        self.fault: Fault | None = None
        cost = "1 report" if self.target.report else "1 or 2 requests for 1,000 objects each; markers that are new"
        self.slow = BackgroundReading(self._connect, self.target.refresh, cost)

    @property
    def up_labels(self) -> tuple[str, ...]:
        return (self.target.kind,)

    def most_series(self, metric: Metric) -> int:
        return SERIES.get(metric.name, 1)

    def standing_samples(self) -> Iterable[Sample]:
        yield LIST_REQUESTS(self.tally.requests, self.target.kind)
        for fault in Fault:
            yield FAILED(fault is self.fault, self.target.kind, fault)

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        try:
            read_options(self.target)
        except TargetMisconfigured as error:
            key, _, reason = str(error).partition(": ")
            yield key, reason

    @contextmanager
    def record_faults(self) -> Iterator[None]:
        """Remember what kind of thing went wrong, until a reading is good again."""
        try:
            yield
        except TargetError as error:
            self.fault = error.fault
            raise
        except asyncio.CancelledError:  # the background's limit, or the end
            self.fault = Fault.TIMEOUT
            raise
        except Exception:
            self.fault = Fault.OTHER
            raise

    async def _connect(self, budget: float) -> Client:  # noqa: ARG002 - the runner's limit holds
        if self.target.report is not None:
            return ReportClient(self.target.report, self)
        with self.record_faults():
            return BackupsClient(open_store(self.target), self)
