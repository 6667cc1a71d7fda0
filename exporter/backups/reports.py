"""Parsers for the JSON reports of pgBackRest, WAL-G and restic.

Each tool lists a backup only once it is complete; running and damaged backups are counted if the report contains them.
A backup's date is that of its end. Its size is that of the source data, so that a small increment does not look like a
shrunk backup; the total is the stored size.
"""

from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, AwareDatetime, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from exporter.backups.contents import CompleteBackup, Contents, IncompleteBackup, IncompleteReason
from exporter.backups.folder import Listing

Model = TypeVar("Model")


class ReportError(ValueError):
    """The text is not a report of the tool; the message gives the reason without its content."""


@dataclass(frozen=True)
class _ReportEntry:
    """One backup of a report. `stored_bytes` is its size in the repository."""

    name: str
    made_at: float
    size: int | None
    stored_bytes: int
    damaged: bool = False


class _PgBackRestInfo(BaseModel):
    class Repository(BaseModel):
        delta: int = 0

    size: int
    repository: Repository = Repository()


class _Timestamp(BaseModel):
    stop: int


class _PgBackRestBackup(BaseModel):
    label: str
    error: bool | None = None
    info: _PgBackRestInfo | None = None
    timestamp: _Timestamp


class _Lock(BaseModel):
    class BackupLock(BaseModel):
        held: bool = False

    backup: BackupLock = BackupLock()


class _Status(BaseModel):
    """The state of a stanza: 0 is fine, 2 is without backups, others are unreliable."""

    code: int
    message: str = ""
    lock: _Lock = _Lock()


class _Stanza(BaseModel):
    name: str
    cipher: str = "none"
    status: _Status
    backup: list[_PgBackRestBackup] = Field(default_factory=list)


class _WalGBackup(BaseModel):
    backup_name: str
    at: AwareDatetime = Field(
        validation_alias=AliasChoices("finish_time", "time", "modification_time", "last_modified")
    )
    uncompressed_size: int | None = None
    compressed_size: int = 0


class _ResticSummary(BaseModel):
    backup_end: AwareDatetime | None = None
    total_bytes_processed: int | None = None
    data_added_packed: int = 0


class _ResticSnapshot(BaseModel):
    id: str
    time: AwareDatetime
    summary: _ResticSummary = _ResticSummary()


def _null_as_empty(value: Any) -> Any:
    """Return an empty list for null, which programs in Go write for it."""
    return [] if value is None else value


_STANZAS = TypeAdapter(list[_Stanza])
_WALG = TypeAdapter(Annotated[list[_WalGBackup], BeforeValidator(_null_as_empty)])
_RESTIC = TypeAdapter(Annotated[list[_ResticSnapshot], BeforeValidator(_null_as_empty)])
NO_BACKUPS = 2  # pgBackRest's code of a stanza without any
FINE = 0


def parse_pgbackrest(content: bytes, stanza: str | None, now: float, written_at: float) -> Listing:
    """Parse `pgbackrest info --output=json`.

    See https://pgbackrest.org/command.html#command-info.
    """
    report = _select_stanza(_parse(_STANZAS, content), stanza)
    if report.status.code not in (FINE, NO_BACKUPS):
        raise ReportError(
            f"pgBackRest reports for the stanza {report.name}: {report.status.message or report.status.code}"
        )
    entries = [
        _ReportEntry(
            each.label,
            each.timestamp.stop,
            each.info.size if each.info else None,
            each.info.repository.delta if each.info else 0,
            damaged=bool(each.error),
        )
        for each in report.backup
    ]
    uploads = [IncompleteBackup(now, IncompleteReason.UPLOADING)] if report.status.lock.backup.held else []
    return _listing(entries, uploads, now, written_at, encrypted=report.cipher not in ("none", "mixed"))


def parse_walg(content: bytes, _: str | None, now: float, written_at: float) -> Listing:
    """Parse `wal-g backup-list --detail --json`.

    Without --detail, sizes are absent and dates are those of uploads.
    """
    backups = _parse(_WALG, content)
    entries = [
        _ReportEntry(each.backup_name, each.at.timestamp(), each.uncompressed_size, each.compressed_size)
        for each in backups
    ]
    return _listing(entries, [], now, written_at)


def parse_restic(content: bytes, _: str | None, now: float, written_at: float) -> Listing:
    """Parse `restic snapshots --json`; restic always encrypts, and has sizes since 0.17."""
    entries = [
        _ReportEntry(
            each.id,
            (each.summary.backup_end or each.time).timestamp(),
            each.summary.total_bytes_processed,
            each.summary.data_added_packed,
        )
        for each in _parse(_RESTIC, content)
    ]
    return _listing(entries, [], now, written_at, encrypted=True)


FORMATS: Mapping[str, Callable[[bytes, str | None, float, float], Listing]] = {
    "pgbackrest": parse_pgbackrest,
    "walg": parse_walg,
    "restic": parse_restic,
}


def _parse(adapter: TypeAdapter[list[Model]], content: bytes) -> list[Model]:
    try:
        return adapter.validate_json(content.removeprefix(BOM_UTF8))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ReportError(f"{place or 'the text'}: {first['msg']}") from None


def _select_stanza(stanzas: Sequence[_Stanza], name: str | None) -> _Stanza:
    matches = [each for each in stanzas if name in (None, each.name)]
    if len(matches) == 1:
        return matches[0]
    names = ", ".join(each.name for each in stanzas) or "none"
    raise ReportError(f"stanza: set it to one of those in the report: {names}")


def _listing(
    entries: Sequence[_ReportEntry],
    uploads: Sequence[IncompleteBackup],
    now: float,
    written_at: float,
    encrypted: bool | None = None,
) -> Listing:
    past = sorted((each for each in entries if each.made_at <= now), key=lambda each: each.made_at, reverse=True)
    intact = [each for each in past if not each.damaged]
    incomplete = [
        *uploads,
        *(IncompleteBackup(each.made_at, IncompleteReason.DAMAGED) for each in past if each.damaged),
        *(IncompleteBackup(each.made_at, IncompleteReason.FUTURE) for each in entries if each.made_at > now),
    ]
    backups = tuple(CompleteBackup(each.name, each.made_at, each.size) for each in intact)
    return Listing(
        Contents(backups, tuple(incomplete)),
        len(intact),
        sum(each.stored_bytes for each in intact),
        intact[-1].made_at if intact else None,
        written_at,
        encrypted=encrypted,
    )
