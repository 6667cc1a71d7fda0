"""The state of one place of backups that is kept between readings."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from exporter.backups.contents import BackupClassifier
from exporter.backups.folder import Folder, FolderOfFolders, WholeFolder
from exporter.backups.listing import Tally
from exporter.backups.markers import ProofReader
from exporter.backups.sorted_folder import SortedFolder
from exporter.errors import Fault, TargetError
from runbookd.inventory import BackupNames, BackupTarget

# These storages list by name, from any name on.
_SORTED_STORES = ("s3:", "s3a:", "gs:", "memory:")


class BackupState:
    """The known folder and markers, the number of list requests, and the last fault."""

    def __init__(self, target: BackupTarget) -> None:
        self.tally, self.proofs = Tally(), ProofReader()
        self.folder = _folder_of(target, self.tally)
        self.fault: Fault | None = None

    @contextmanager
    def record_faults(self) -> Iterator[None]:
        """Record the kind of fault raised inside, until the next successful reading."""
        try:
            yield
        except TargetError as error:
            self.fault = error.fault
            raise
        except asyncio.CancelledError:  # the background's time limit, or a shutdown
            self.fault = Fault.TIMEOUT
            raise
        except Exception:
            self.fault = Fault.OTHER
            raise

    def record_success(self) -> None:
        """Forget the fault."""
        self.fault = None


def _folder_of(target: BackupTarget, tally: Tally) -> Folder:
    """Return the cheapest way to list the folder of `target`."""
    names = BackupNames(target.pattern, ZoneInfo(target.zone))
    if target.pattern.endswith("/"):
        return FolderOfFolders(names, tally)
    if target.dated_by == "name" and names.sorts_by_date and target.url.startswith(_SORTED_STORES):
        return SortedFolder(names, tally)
    return WholeFolder(BackupClassifier(names, target.dated_by), tally)
