"""Backups and markers that the tests store, and the inventory for them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from runbookd.inventory import ProofKind, marker_name, read_marker

PATTERN = "db_%Y%m%d_%H%M%S.dump"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Put = Callable[..., None]


def inventory(url: str, **settings: object) -> str:
    return yaml.safe_dump(
        {"stacks": {"shop": {"backups": {"nightly": {"url": url, "pattern": PATTERN, "refresh": "1s", **settings}}}}}
    )


def name_of(age: timedelta) -> str:
    return (datetime.now(UTC) - age).strftime(PATTERN)


def folder_of(place: Path) -> Path:
    folder = place / "backups"
    folder.mkdir()
    return folder


def marker(backup: str, size: int, proof: ProofKind = ProofKind.VERIFIED, **more: Any) -> tuple[str, bytes]:
    """Return the name and content of a valid marker, changed by `more`."""
    details: dict[str, Any] = (
        {"checks": ["end"]} if proof is ProofKind.VERIFIED else {"duration_seconds": 90, "rows": {"a": 7}}
    )
    content = {"proof": proof, "backup": backup, "size": size, "at": datetime.now(UTC).isoformat(), **details, **more}
    read_marker(json.dumps(content).encode())
    return marker_name(backup, proof), json.dumps(content).encode()


def write_proven_backups(folder: Path) -> int:
    """Write two backups and a marker of either kind, so that each metric has a value; return the number of markers."""
    names, newest_row = ["db_20260101.dump", "db_20260102.dump"], "2026-01-01T23:59:00Z"
    markers = [
        marker(names[1], 1, encryption="AES-256"),
        marker(names[1], 1, ProofKind.RESTORED, newest_row_at=newest_row),
    ]
    for name, content in [*((name, b"x") for name in names), *markers]:
        (folder / name).write_bytes(content)
    return len(markers)
