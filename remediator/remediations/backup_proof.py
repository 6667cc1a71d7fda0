"""The proof that a run writes beside a backup, and reads again to tell its outcome."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from remediator.clients.backup_store import BackupFolder, BackupObject
from remediator.clients.object_store import describe
from remediator.clients.upload import STORAGE_ERRORS
from remediator.model.remediation import EffectOutcome, Identity, Item, ItemState
from runbookd.inventory import Marker, ProofKind

MAX_REASON = 1000
NO_BACKUP, KNOWN_BAD = "no_backup", "known_bad"


def identity_of(backup: BackupObject) -> Identity:
    """Return what identifies a backup's content in a plan."""
    return {"object": backup.name, "size": backup.size, "etag": backup.etag}


def is_unchanged(backup: BackupObject | None, item: Item) -> bool:
    """Return whether the backup is still the one of the plan."""
    return backup is not None and identity_of(backup) == dict(item.identity)


@dataclass(frozen=True)
class RunProof:
    """The markers of one kind that `run` writes."""

    run: str
    kind: ProofKind
    open_folder: Callable[[], BackupFolder]

    def marker(self, backup: BackupObject, **values: Any) -> Marker:
        """Return a marker of now about the content of `backup`."""
        return Marker(
            proof=self.kind,
            backup=backup.name,
            size=backup.size,
            etag=backup.etag,
            at=datetime.now(UTC).replace(microsecond=0),
            run=self.run,
            **values,
        )

    async def write(self, marker: Marker) -> str:
        """Write the marker, and return a note for the operator."""
        try:
            await self.open_folder().write_marker(marker)
        except STORAGE_ERRORS as error:
            return f"cannot write its marker: {describe(error)}"
        return "its marker is written" if marker.ok else "its marker says so"

    async def write_bad(self, backup: BackupObject, reason: str, **values: Any) -> str:
        """Write that the backup did not pass."""
        return await self.write(self.marker(backup, ok=False, reason=reason[:MAX_REASON], **values))

    async def read(self, item: Item) -> Marker | None:
        """Return the marker of the item's backup, also one that another tool wrote."""
        folder = self.open_folder()
        backup = await folder.get(str(item.identity["object"]))
        return None if backup is None else await folder.read_marker(backup, self.kind)

    async def outcome(self, item: Item) -> EffectOutcome:
        """Tell by the marker what became of an interrupted effect."""
        marker = await self.read(item)
        if marker is None or marker.run != self.run:
            return EffectOutcome(ItemState.NOT_APPLIED, "this run did not come to its end: it has written no marker")
        if marker.ok:
            return EffectOutcome(ItemState.APPLIED, "its marker is written")
        return EffectOutcome(ItemState.FAILED, f"its marker says: {marker.reason}")
