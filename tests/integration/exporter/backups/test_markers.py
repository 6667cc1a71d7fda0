"""The proofs of markers, in a real folder and beside real objects on an S3 server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest

from runbookd.inventory import ProofKind
from tests.integration.exporter.backups.stored_backups import DAY, HOUR, folder_of, inventory, marker, name_of

CONTENT = b"a whole dump"
Write = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path)


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a backup of that age with a valid marker changed by `more`, or with `content` as its marker."""

    def write(
        age: timedelta = HOUR, proof: ProofKind = ProofKind.VERIFIED, content: bytes | None = None, **more: Any
    ) -> str:
        name = name_of(age)
        (folder / name).write_bytes(CONTENT)
        file, text = marker(name, **{"size": len(CONTENT), "proof": proof, **more})
        (folder / file).write_bytes(text if content is None else content)
        return name

    return write


async def wait_until_listed(exporter):
    return await exporter.scrape_until(lambda page: page.value("backup_up") == 1)


def proof_counts(page) -> dict[tuple[str, str], float]:
    series = [(dict(labels), value) for labels, value in page.series("backup_proofs").items()]
    return {(labels["proof"], labels["state"]): value for labels, value in series if value}


async def test_verify_marker_sets_the_verification_time(start_exporter, folder: Path, write: Write) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    write(at=at.isoformat(), encryption="AES-256")
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert page.value("backup_last_verified_timestamp_seconds") == at.timestamp()
    assert proof_counts(page) == {("verified", "valid"): 1}
    assert page.value("backup_encrypted") == 1
    assert page.value("backup_unmatched_objects") == 0
    assert page.series("backup_last_restored_timestamp_seconds") == {}


async def test_restore_marker_sets_time_duration_and_rows(start_exporter, folder: Path, write: Write) -> None:
    write(proof=ProofKind.RESTORED, rows={"public.users": 5, "public.orders": 6}, duration_seconds=412.5, encryption="")
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert page.value("backup_last_restored_timestamp_seconds") is not None
    assert page.value("backup_last_restore_duration_seconds") == 412.5
    assert page.value("backup_last_restore_rows") == 11
    assert page.series("backup_last_restore_newest_row_timestamp_seconds") == {}
    assert page.value("backup_encrypted") == 0
    assert page.series("backup_last_verified_timestamp_seconds") == {}


async def test_restore_marker_sets_the_time_of_the_newest_row(start_exporter, folder: Path, write: Write) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    rows = {"public.users": 5}
    write(proof=ProofKind.RESTORED, rows=rows, duration_seconds=1, newest_row_at=at.isoformat())
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert page.value("backup_last_restore_newest_row_timestamp_seconds") == at.timestamp()


async def test_weak_marker_still_states_the_encryption(start_exporter, folder: Path, write: Write) -> None:
    """Without the key only the checksum is proven, and the backup is encrypted all the same."""
    write(checks=["checksum"], encryption="age X25519")
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert proof_counts(page) == {("verified", "weak"): 1}
    assert page.value("backup_encrypted") == 1


async def test_no_proof_is_reported_without_markers(start_exporter, folder: Path) -> None:
    (folder / name_of(HOUR)).write_bytes(CONTENT)
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert proof_counts(page) == {}
    for absent in ("last_verified_timestamp_seconds", "last_restored_timestamp_seconds", "encrypted"):
        assert page.series(f"backup_{absent}") == {}


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"checks": ["decompression"]}, "weak"),
        ({"checks": ["checksum", "structure"]}, "weak"),
        ({"ok": False}, "failed"),
        ({"size": len(CONTENT) + 1}, "mismatched"),
        ({"etag": '"another"'}, "mismatched"),
        ({"at": (datetime.now(UTC) + DAY).isoformat()}, "malformed"),
        ({"content": b"{"}, "malformed"),
        ({"content": b'{"proof": "verified", "ok": true}'}, "malformed"),
        ({"content": marker(name_of(5 * DAY), len(CONTENT))[1]}, "malformed"),  # another backup's
        ({"content": b" " * 70_000}, "malformed"),
    ],
)
async def test_marker_without_proof_is_counted_by_state(
    start_exporter, folder: Path, write: Write, more: Any, state: str
) -> None:
    write(**more)
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert proof_counts(page) == {("verified", state): 1}
    assert page.series("backup_last_verified_timestamp_seconds") == {}
    assert page.value("backup_found") == 1


async def test_deleted_backup_loses_its_verification_but_not_its_restore(
    start_exporter, folder: Path, write: Write
) -> None:
    name = write()
    file, text = marker(name, len(CONTENT), ProofKind.RESTORED)
    (folder / file).write_bytes(text)
    (folder / name).unlink()
    (folder / name_of(DAY)).write_bytes(CONTENT)
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert proof_counts(page) == {("verified", "stale"): 1, ("restored", "stale"): 1}
    assert page.series("backup_last_verified_timestamp_seconds") == {}
    assert page.value("backup_last_restored_timestamp_seconds") is not None


async def test_older_valid_marker_counts_when_the_newest_is_invalid(start_exporter, folder: Path, write: Write) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - DAY
    write(2 * DAY, at=at.isoformat())
    write(HOUR, content=b"{")
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert proof_counts(page) == {("verified", "malformed"): 1, ("verified", "valid"): 1}
    assert page.value("backup_last_verified_timestamp_seconds") == at.timestamp()


async def test_marker_is_read_once_and_its_etag_is_compared(start_exporter, bucket, options, put, open_bucket) -> None:
    name = name_of(HOUR)
    put(f"db/{name}", CONTENT)
    stored = (await obstore.head_async(open_bucket, f"db/{name}"))["e_tag"]
    file, text = marker(name, len(CONTENT), etag=stored)
    put(f"db/{file}", text)
    exporter = await start_exporter(inventory(f"{bucket.url}/db/", options_file=str(options)))
    page = await wait_until_listed(exporter)
    assert proof_counts(page) == {("verified", "valid"): 1}
    assert page.value("runbook_exporter_collector_round_trips") == 2
    await exporter.scrape_until(lambda page: page.value("runbook_exporter_collector_round_trips") == 1)
    put(f"db/{name}", b"A WHOLE DUMP")
    page = await exporter.scrape_until(lambda page: proof_counts(page) == {("verified", "mismatched"): 1})
    assert page.series("backup_last_verified_timestamp_seconds") == {}
