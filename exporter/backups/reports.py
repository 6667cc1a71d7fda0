"""What backup tools say about their repositories, as JSON: pgBackRest, WAL-G and restic.

Every tool counts a backup only once it is whole; what goes on, or was found damaged, is told where the report tells it.
The date is that of the end. Sizes are those of what was backed up, so that a small increment is no shrunk backup; the
total is what is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, AwareDatetime, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from exporter.backups.contents import Backup, Contents, Incomplete, Unfinished
from exporter.backups.listing import Found

Model = TypeVar("Model")


class ReportError(ValueError):
    """A text is no report of the tool; the message says why, in one line, without what stands in it."""


@dataclass(frozen=True)
class _Entry:
    """One backup of a report. `stored` is what it takes in the repository, in bytes."""

    name: str
    made_at: float
    size: int | None
    stored: int
    damaged: bool = False


class _Info(BaseModel):
    class Repository(BaseModel):
        delta: int = 0

    size: int
    repository: Repository = Repository()


class _Timestamp(BaseModel):
    stop: int


class _PgBackRestBackup(BaseModel):
    label: str
    error: bool | None = None
    info: _Info | None = None
    timestamp: _Timestamp


class _Lock(BaseModel):
    class Held(BaseModel):
        held: bool = False

    backup: Held = Held()


class _Status(BaseModel):
    """Code 0 is fine and 2 is without backups; with all others the list can not be trusted."""

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


class _Snapshot(BaseModel):
    id: str
    time: AwareDatetime
    summary: _ResticSummary = _ResticSummary()


def _nothing(value: Any) -> Any:
    """Programs in Go write an empty list as null."""
    return [] if value is None else value


_STANZAS = TypeAdapter(list[_Stanza])
_WALG = TypeAdapter(Annotated[list[_WalGBackup], BeforeValidator(_nothing)])
_RESTIC = TypeAdapter(Annotated[list[_Snapshot], BeforeValidator(_nothing)])
NO_BACKUPS = 2  # pgBackRest's code of a stanza without any
FINE = 0


def pgbackrest(content: bytes, stanza: str | None, now: float, written_at: float) -> Found:
    """`pgbackrest info --output=json` (https://pgbackrest.org/command.html#command-info)."""
    told = _stanza(_read(_STANZAS, content), stanza)
    if told.status.code not in (FINE, NO_BACKUPS):
        raise ReportError(f"pgBackRest says about the stanza {told.name}: {told.status.message or told.status.code}")
    entries = [
        _Entry(
            each.label,
            each.timestamp.stop,
            each.info.size if each.info else None,
            each.info.repository.delta if each.info else 0,
            damaged=bool(each.error),
        )
        for each in told.backup
    ]
    going_on = [Unfinished(now, Incomplete.UPLOADING)] if told.status.lock.backup.held else []
    return _found(entries, going_on, now, written_at, encrypted=told.cipher not in ("none", "mixed"))


def walg(content: bytes, _: str | None, now: float, written_at: float) -> Found:
    """`wal-g backup-list --detail --json`. Without --detail there are no sizes, and the dates are those of uploads."""
    listed = _read(_WALG, content)
    entries = [
        _Entry(each.backup_name, each.at.timestamp(), each.uncompressed_size, each.compressed_size) for each in listed
    ]
    return _found(entries, [], now, written_at)


def restic(content: bytes, _: str | None, now: float, written_at: float) -> Found:
    """`restic snapshots --json`; sizes since restic 0.17. A repository of restic is always encrypted."""
    entries = [
        _Entry(
            each.id,
            (each.summary.backup_end or each.time).timestamp(),
            each.summary.total_bytes_processed,
            each.summary.data_added_packed,
        )
        for each in _read(_RESTIC, content)
    ]
    return _found(entries, [], now, written_at, encrypted=True)


FORMATS: Mapping[str, Callable[[bytes, str | None, float, float], Found]] = {
    "pgbackrest": pgbackrest,
    "walg": walg,
    "restic": restic,
}


def _read(kind: TypeAdapter[list[Model]], content: bytes) -> list[Model]:
    try:
        return kind.validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ReportError(f"{place or 'the text'}: {first['msg']}") from None


def _stanza(stanzas: Sequence[_Stanza], wanted: str | None) -> _Stanza:
    there = [each for each in stanzas if wanted in (None, each.name)]
    if len(there) == 1:
        return there[0]
    names = ", ".join(each.name for each in stanzas) or "none"
    raise ReportError(f"stanza: name one of those in the report: {names}")


def _found(
    entries: Sequence[_Entry],
    going_on: Sequence[Unfinished],
    now: float,
    written_at: float,
    encrypted: bool | None = None,
) -> Found:
    past = sorted((each for each in entries if each.made_at <= now), key=lambda each: each.made_at, reverse=True)
    good = [each for each in past if not each.damaged]
    unfinished = [
        *going_on,
        *(Unfinished(each.made_at, Incomplete.DAMAGED) for each in past if each.damaged),
        *(Unfinished(each.made_at, Incomplete.FUTURE) for each in entries if each.made_at > now),
    ]
    backups = tuple(Backup(each.name, each.made_at, each.size) for each in good)
    return Found(
        Contents(backups, tuple(unfinished)),
        len(good),
        sum(each.stored for each in good),
        good[-1].made_at if good else None,
        written_at,
        encrypted=encrypted,
    )
