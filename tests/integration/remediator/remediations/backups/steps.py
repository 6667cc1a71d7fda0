"""A folder of backups as other programs see it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runbookd.inventory import Marker, ProofKind, marker_name, read_marker

PATTERN = "shop_%Y%m%d_%H%M%S.dump"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def name_of(age: timedelta) -> str:
    """Return the name of a backup of that age."""
    return (datetime.now(UTC) - age).strftime(PATTERN)


@dataclass(frozen=True)
class BackupsFolder:
    """A folder on disk."""

    path: Path

    def put(self, name: str, content: bytes) -> str:
        (self.path / name).write_bytes(content)
        return name

    def names(self) -> set[str]:
        return {file.name for file in self.path.iterdir()}

    def marker(self, name: str, proof: ProofKind = ProofKind.VERIFIED) -> Marker:
        return read_marker((self.path / marker_name(name, proof)).read_bytes())

    def mark(self, name: str, proof: ProofKind = ProofKind.VERIFIED, **more: object) -> None:
        """Write a marker as another tool does, without ETag."""
        values = {
            "proof": proof,
            "backup": name,
            "size": (self.path / name).stat().st_size,
            "at": datetime.now(UTC).isoformat(),
            "checks": ["end"],
            **more,
        }
        (self.path / marker_name(name, proof)).write_text(json.dumps(values))
