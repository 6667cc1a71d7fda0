"""The marker beside a backup: a JSON file with a proof (docs/reference/backup-markers.md)."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from runbookd.inventory.backup_names import ProofKind
from runbookd.inventory.constraints import AwareDatetime, Field, StringConstraints
from runbookd.inventory.section import Section, must_hold, validator
from runbookd.text_files import decode_text

MAX_BYTES = 64 * 1024
"""The maximum size of a marker."""


class Check(StrEnum):
    """A check that was made to verify a backup."""

    END = "end"
    """A program that knows the format read all of it, or the last line of the dump was found."""
    STRUCTURE = "structure"
    """Its table of contents is readable (`pg_restore --list`)."""
    CHECKSUM = "checksum"
    """The stored content has the checksum of the original dump."""
    DECOMPRESSION = "decompression"
    """It unpacks (`gunzip -t`). Not enough alone: a dump that was truncated before packing unpacks, too."""


class MarkerError(ValueError):
    """The text is not a marker; the message gives the reason in one line."""


class Marker(Section, unknown_keys="ignore"):
    """One proof. Unknown keys are ignored, so that other tools may add theirs."""

    format: Literal[1] = 1
    proof: ProofKind
    backup: Annotated[str, Field(min_length=1)]
    size: Annotated[int, Field(gt=0)]
    """Size in bytes of the checked backup."""
    at: Annotated[datetime, AwareDatetime()]
    ok: bool = True
    """Whether the backup passed."""
    etag: str | None = None
    """The storage's ETag of the checked content."""
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    checks: frozenset[Check] = frozenset()
    encryption: str | None = None
    """The encryption, such as AES-256; empty if the backup is not encrypted."""
    duration_seconds: Annotated[float, Field(ge=0)] | None = None
    rows: dict[str, Annotated[int, Field(ge=0)]] = field(default_factory=dict)
    """Rows per table, counted in the scratch database."""
    newest_row_at: Annotated[datetime, AwareDatetime()] | None = None
    """The time of the newest row in the scratch database: what is newer would have been lost."""
    reason: str | None = None
    """Why the backup did not pass."""
    run: str | None = None
    """The remediator's run that wrote the marker."""

    @must_hold
    def _says_what_was_done(self) -> None:
        if self.proof is ProofKind.VERIFIED and self.ok and not self.checks:
            raise ValueError(f"checks is missing; list the checks made: {', '.join(Check)}")
        if self.proof is ProofKind.RESTORED and self.ok and (self.duration_seconds is None or not self.rows):
            raise ValueError("a restore needs duration_seconds and rows")

    @property
    def proves(self) -> bool:
        """Whether the checks suffice: a verification must have reached the end of the backup."""
        return self.proof is ProofKind.RESTORED or Check.END in self.checks

    def as_json(self) -> bytes:
        """Return the content of the marker file."""
        return validator(Marker).dump_json(self, indent=2, exclude_none=True)


def read_marker(content: bytes) -> Marker:
    """Parse `content` as a marker.

    Raises:
        MarkerError: `content` is not JSON of this format.
    """
    from pydantic import ValidationError

    try:
        marker: Marker = validator(Marker).validate_json(decode_text(content))
        return marker
    except UnicodeDecodeError:
        raise MarkerError("the text is not UTF-8") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MarkerError(f"{place}: {first['msg']}" if place else first["msg"]) from None
