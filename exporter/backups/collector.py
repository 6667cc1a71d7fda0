"""Backups: the date and size of the newest, their number, and proofs that they restore.

They are read in the background, so that a slow bucket never delays a scrape. By default the date of a backup is the one
in its name, because the date of the object changes when it is copied.
"""

from collections.abc import Iterable

from exporter.backups.client import BackupsClient, ReportClient
from exporter.backups.metrics import FAILED, LIST_REQUESTS, METRICS, SERIES, UP
from exporter.backups.object_store import open_store, read_options
from exporter.backups.state import BackupState
from exporter.collector import BackgroundReading, Client, Collector
from exporter.errors import Fault, TargetMisconfigured
from exporter.metric import Metric, Sample
from runbookd.addresses.http import read_http_address
from runbookd.inventory import Stack
from runbookd.inventory.secret_check import secret_problems


class BackupsCollector(Collector):
    """Backups of one kind in one place; `state` is kept across readings."""

    metrics = METRICS
    up = UP

    def __init__(self, stack: Stack, name: str) -> None:
        self._target = target = stack.backups[name]
        self.state = BackupState(target)
        cost = "1 report" if target.report else "1 or 2 requests for 1,000 objects each; new markers"
        self.background = BackgroundReading(self._connect, target.refresh, cost)

    @property
    def up_labels(self) -> tuple[str, ...]:
        """The kind of the backups."""
        return (self._target.kind,)

    def most_series(self, metric: Metric) -> int:
        """Return the maximum number of series of a metric."""
        return SERIES.get(metric.name, 1)

    def standing_samples(self) -> Iterable[Sample]:
        """Yield the requests so far, and the fault of the last reading."""
        yield LIST_REQUESTS(self.state.tally.requests, self._target.kind)
        for fault in Fault:
            yield FAILED(fault is self.state.fault, self._target.kind, fault)

    def secret_problems(self) -> Iterable[tuple[str, str]]:
        """Yield why the report's address or the storage's options cannot be read, if so."""
        report = self._target.report
        if report is not None and report.file is None:
            for key, reason in secret_problems(report.url_secret(), read_http_address):
                yield f"report.{key}", reason
        try:
            read_options(self._target)
        except TargetMisconfigured as error:
            key, _, reason = str(error).partition(": ")
            yield key, reason

    async def _connect(self, budget: float) -> Client:  # noqa: ARG002 - the scraper's limit holds
        target = self._target
        if target.report is not None:
            return ReportClient(target.report, target.kind, self.state)
        with self.state.record_faults():
            return BackupsClient(open_store(target), target.kind, self.state)
