"""The checksums that were stored with a backup, by run_backup or by the tool that made it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import obstore

from remediator.clients.backup_store import BackupFolder, BackupObject
from runbookd.inventory import Check, ProofKind, marker_name

SUFFIX = ".sha256"
MAX_BYTES = 4096
_SHA256 = re.compile(r"\s*\\?([0-9a-fA-F]{64})(\s|$)")


@dataclass(frozen=True)
class KnownChecksum:
    """A SHA-256 and the object that states it; `is_original` if its maker knew what was stored."""

    source: str
    sha256: str
    is_original: bool


async def known_checksums(folder: BackupFolder, backup: BackupObject) -> Sequence[KnownChecksum]:
    """Return what is known about the content of `backup`."""
    found = []
    if (sha256 := await _checksum_file(folder, f"{backup.name}{SUFFIX}")) is not None:
        found.append(KnownChecksum(f"{backup.name}{SUFFIX}", sha256, is_original=True))
    marker = await folder.read_marker(backup, ProofKind.VERIFIED)
    if marker is not None and marker.sha256 is not None:
        source = marker_name(backup.name, ProofKind.VERIFIED)
        found.append(KnownChecksum(source, marker.sha256, is_original=Check.CHECKSUM in marker.checks))
    return found


async def _checksum_file(folder: BackupFolder, name: str) -> str | None:
    """Return the checksum in a file as sha256sum writes it; None if there is no such file."""
    try:
        answer = await obstore.get_async(folder.store, name)
        if answer.meta["size"] > MAX_BYTES:
            return None
        match = _SHA256.match(bytes(await answer.bytes_async()).decode("utf-8", "replace"))
    except FileNotFoundError:
        return None
    return match[1].lower() if match else None
