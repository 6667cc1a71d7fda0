"""The readings of backups: a listing with its markers, or the report of a backup tool."""

from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from exporter.backups.folder import Listing
from exporter.backups.listing import is_really_empty
from exporter.backups.markers import Proofs
from exporter.backups.metrics import samples_of
from exporter.backups.object_store import target_error
from exporter.backups.report_source import read_report
from exporter.backups.reports import FORMATS, Chosen, ReportError
from exporter.backups.state import BackupState
from exporter.collector import Client, Reading
from exporter.errors import Fault, TargetRefused
from runbookd.inventory import BackupReport


class BackupsClient(Client):
    """Lists the folder of one kind of backups, and reads the markers."""

    def __init__(self, store: ObjectStore, kind: str, state: BackupState) -> None:
        self._store, self._kind, self._state = store, kind, state

    async def read(self, now: float) -> Reading:
        """List the folder, and read new markers."""
        state = self._state
        requests_before = state.tally.requests
        with state.record_faults():
            listing = await self._list(now)
            proofs = await state.proofs.read(self._store, listing.recent.markers, now)
        state.record_success()
        requests = state.tally.requests - requests_before + state.proofs.requests
        return Reading(tuple(samples_of(listing, proofs, self._kind)), round_trips=requests)

    async def close(self) -> None:
        """Do nothing: the storage's client closes its own connections."""

    async def _list(self, now: float) -> Listing:
        try:
            listing = await self._state.folder.read(self._store, now)
            if listing.found_nothing and not await is_really_empty(self._store, self._state.tally):
                listing = await self._state.folder.read(self._store, now)
            return listing
        except BaseError as error:
            raise target_error(error) from None
        except OSError as error:  # of a folder on disk
            message = (
                f"the folder cannot be read ({error.strerror}); create it, correct url or grant the right to list it"
            )
            raise TargetRefused(message, Fault.FOLDER) from None


class ReportClient(Client):
    """Reads a backup tool's report of one kind of backups."""

    def __init__(self, report: BackupReport, kind: str, state: BackupState) -> None:
        self._report, self._kind, self._state = report, kind, state

    async def read(self, now: float) -> Reading:
        """Read and parse the report."""
        with self._state.record_faults():
            listing = await self._parse_report(now)
        self._state.record_success()
        return Reading(tuple(samples_of(listing, Proofs(), self._kind)), round_trips=1)

    async def close(self) -> None:
        """Do nothing: each reading opens its own connection."""

    async def _parse_report(self, now: float) -> Listing:
        report, text = self._report, await read_report(self._report)
        chosen = Chosen(report.repository, report.host, report.tag)
        try:
            return FORMATS[report.format](text.content, report.stanza, now, text.written_at, chosen)
        except ReportError as error:
            raise TargetRefused(f"not a {report.format} report: {error}", Fault.REPORT) from None
