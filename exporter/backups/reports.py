"""Parsers for the JSON reports of pgBackRest, WAL-G and restic.

Each tool lists a backup only once it is complete; running and damaged backups are counted if the report contains them.
A backup's date is that of its end. Its size is that of the source data, so that a small increment does not look like a
shrunk backup; the total is the stored size.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, AwareDatetime, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from exporter.backups.contents import CompleteBackup, Contents, IncompleteBackup, IncompleteReason
from exporter.backups.folder import Listing, total
from runbookd.text_files import decode_text

Model = TypeVar("Model")


class ReportError(ValueError):
    """The text is not a report of the tool; the message gives the reason without its content."""


@dataclass(frozen=True)
class _ReportEntry:
    """One backup of a report. `stored_bytes` is its size in the repository, None if the report omits it."""

    name: str
    made_at: float
    size: int | None
    stored_bytes: int | None
    damaged: bool = False


@dataclass(frozen=True)
class Chosen:
    """The part of a report that counts: a repository of pgBackRest, or the snapshots of a host or with a tag."""

    repository: int | None = None
    host: str | None = None
    tag: str | None = None


_ALL = Chosen()


class _PgBackRestInfo(BaseModel):
    class Repository(BaseModel):
        delta: int | None = None

    size: int
    repository: Repository = Repository()


class _Timestamp(BaseModel):
    stop: int


class _Database(BaseModel):
    repository: int = Field(default=1, validation_alias="repo-key")


class _PgBackRestBackup(BaseModel):
    label: str
    error: bool | None = None
    info: _PgBackRestInfo | None = None
    timestamp: _Timestamp
    database: _Database = _Database()


class _Lock(BaseModel):
    class BackupLock(BaseModel):
        held: bool = False

    backup: BackupLock = BackupLock()


class _Status(BaseModel):
    """The state of a stanza: 0 is fine, 2 is without backups, others are unreliable."""

    code: int
    message: str = ""
    lock: _Lock = _Lock()


class _Repository(BaseModel):
    key: int
    cipher: str = "none"
    status: _Status


class _Stanza(BaseModel):
    name: str
    cipher: str = "none"
    status: _Status
    backup: list[_PgBackRestBackup] = Field(default_factory=list)
    repo: list[_Repository] = Field(default_factory=list)


class _WalGBackup(BaseModel):
    backup_name: str
    at: AwareDatetime = Field(
        validation_alias=AliasChoices("finish_time", "time", "modification_time", "last_modified")
    )
    uncompressed_size: int | None = None
    compressed_size: int | None = None


def _null_as_empty(value: Any) -> Any:
    """Return an empty list for null, which programs in Go write for it."""
    return [] if value is None else value


class _ResticSummary(BaseModel):
    backup_end: AwareDatetime | None = None
    total_bytes_processed: int | None = None
    data_added_packed: int | None = None


class _ResticSnapshot(BaseModel):
    id: str
    time: AwareDatetime
    hostname: str = ""
    tags: Annotated[list[str], BeforeValidator(_null_as_empty)] = Field(default_factory=list)
    summary: _ResticSummary = _ResticSummary()


_STANZAS = TypeAdapter(list[_Stanza])
_WALG = TypeAdapter(Annotated[list[_WalGBackup], BeforeValidator(_null_as_empty)])
_RESTIC = TypeAdapter(Annotated[list[_ResticSnapshot], BeforeValidator(_null_as_empty)])
NO_BACKUPS = 2  # pgBackRest's code of a stanza without any
FINE = 0


def parse_pgbackrest(
    content: bytes, stanza: str | None, now: float, written_at: float, chosen: Chosen = _ALL
) -> Listing:
    """Parse `pgbackrest info --output=json`; of several repositories, that with the oldest newest backup counts.

    See https://pgbackrest.org/command.html#command-info.
    """
    report = _select_stanza(_parse(_STANZAS, content), stanza)
    repositories = _repositories(report)
    if chosen.repository is not None:
        repositories = [each for each in repositories if each.key == chosen.repository]
        if not repositories:
            numbers = ", ".join(str(each.key) for each in report.repo) or "1"
            raise ReportError(f"repository: set it to one of those in the report: {numbers}")
    for each in repositories:
        _check_status(each.status, report.name)
    uploads = [IncompleteBackup(now, IncompleteReason.UPLOADING)] if report.status.lock.backup.held else []
    return _stalest(
        _listing(
            [_pgbackrest_entry(backup) for backup in report.backup if backup.database.repository == each.key],
            uploads,
            now,
            written_at,
            encrypted=each.cipher not in ("none", "mixed"),
        )
        for each in repositories
    )


def _repositories(report: _Stanza) -> list[_Repository]:
    """Return the repositories; the status of a single one is that of the stanza, which says more."""
    if len(report.repo) > 1:
        return report.repo
    key = report.repo[0].key if report.repo else 1
    return [_Repository(key=key, cipher=report.cipher, status=report.status)]


def _check_status(status: _Status, stanza: str) -> None:
    if status.code not in (FINE, NO_BACKUPS):
        raise ReportError(f"pgBackRest reports for the stanza {stanza}: {status.message or status.code}")


def _pgbackrest_entry(backup: _PgBackRestBackup) -> _ReportEntry:
    return _ReportEntry(
        backup.label,
        backup.timestamp.stop,
        backup.info.size if backup.info else None,
        backup.info.repository.delta if backup.info else None,
        damaged=bool(backup.error),
    )


def _stalest(listings: Iterable[Listing]) -> Listing:
    """Return the listing whose newest backup is the oldest, or one without any."""
    return min(listings, key=lambda each: each.recent.backups[0].made_at if each.recent.backups else float("-inf"))


def parse_walg(content: bytes, _: str | None, now: float, written_at: float, __: Chosen = _ALL) -> Listing:
    """Parse `wal-g backup-list --detail --json`.

    Without --detail, sizes are absent and dates are those of uploads.
    """
    backups = _parse(_WALG, content)
    entries = [
        _ReportEntry(each.backup_name, each.at.timestamp(), each.uncompressed_size, each.compressed_size)
        for each in backups
    ]
    return _listing(entries, [], now, written_at)


def parse_restic(content: bytes, _: str | None, now: float, written_at: float, chosen: Chosen = _ALL) -> Listing:
    """Parse `restic snapshots --json`; of several hosts, that with the oldest newest snapshot counts.

    restic always encrypts, and has sizes since 0.17.
    """
    by_host: dict[str, list[_ReportEntry]] = {}
    for each in _parse(_RESTIC, content):
        if chosen.host in (None, each.hostname) and (chosen.tag is None or chosen.tag in each.tags):
            by_host.setdefault(each.hostname, []).append(_restic_entry(each))
    if not by_host:
        return _listing([], [], now, written_at, encrypted=True)
    return _stalest(_listing(entries, [], now, written_at, encrypted=True) for entries in by_host.values())


def _restic_entry(snapshot: _ResticSnapshot) -> _ReportEntry:
    return _ReportEntry(
        snapshot.id,
        (snapshot.summary.backup_end or snapshot.time).timestamp(),
        snapshot.summary.total_bytes_processed,
        snapshot.summary.data_added_packed,
    )


FORMATS: Mapping[str, Callable[..., Listing]] = {
    "pgbackrest": parse_pgbackrest,
    "walg": parse_walg,
    "restic": parse_restic,
}


def _parse(adapter: TypeAdapter[list[Model]], content: bytes) -> list[Model]:
    try:
        return adapter.validate_json(decode_text(content))
    except UnicodeDecodeError:
        raise ReportError("the text is not UTF-8") from None
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
        total([each.stored_bytes for each in intact]),
        intact[-1].made_at if intact else None,
        written_at,
        encrypted=encrypted,
    )
