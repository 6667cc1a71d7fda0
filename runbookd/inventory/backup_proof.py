"""The marker beside a backup: a small JSON file that says what was proven about it, and when (docs/how-to/verify-backups.md)."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from runbookd.inventory.backup_names import ProofKind

MAX_BYTES = 64 * 1024
"""No marker is larger."""


class Check(StrEnum):
    """What was done to verify a backup."""

    END = "end"
    """All of it was read by a program that knows the format, or the line with which the dump ends was found."""
    STRUCTURE = "structure"
    """Its table of contents was read, as by `pg_restore --list`."""
    CHECKSUM = "checksum"
    """What the storage gives back has the checksum of what was made."""
    DECOMPRESSION = "decompression"
    """It unpacks (`gunzip -t`). No proof alone: a dump that was cut before it was packed unpacks as well."""


class MarkerError(ValueError):
    """A text is no marker; the message says why, in one line."""


class Marker(BaseModel):
    """One proof. Keys that we do not know are left alone, so that other tools may add theirs."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1] = 1
    proof: ProofKind
    backup: Annotated[str, Field(min_length=1)]
    size: Annotated[int, Field(gt=0)]
    """Bytes of the backup that was looked at."""
    at: AwareDatetime
    ok: bool = True
    """Whether it was found to be good."""
    etag: str | None = None
    """The storage's mark of the very content that was looked at."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    checks: frozenset[Check] = frozenset()
    encryption: str | None = None
    """How the backup is encrypted, as in AES-256; an empty text says that it is not."""
    duration_seconds: Annotated[float, Field(ge=0)] | None = None
    rows: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Rows by table, counted in the scratch database."""

    @model_validator(mode="after")
    def _says_what_was_done(self) -> Self:
        if self.proof is ProofKind.VERIFIED and self.ok and not self.checks:
            raise ValueError(f"checks is missing; name what was done: {', '.join(Check)}")
        if self.proof is ProofKind.RESTORED and self.ok and (self.duration_seconds is None or not self.rows):
            raise ValueError("a restore needs duration_seconds and rows")
        return self

    @property
    def proves(self) -> bool:
        """Whether what was done is enough: a verification has to have seen the end."""
        return self.proof is ProofKind.RESTORED or Check.END in self.checks

    def as_json(self) -> bytes:
        """The content of the marker's file."""
        return self.model_dump_json(indent=2, exclude_none=True).encode()


def read_marker(content: bytes) -> Marker:
    """Return what `content` says.

    Raises:
        MarkerError: it is no JSON of this format.
    """
    try:
        return Marker.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MarkerError(f"{place}: {first['msg']}" if place else first["msg"]) from None
