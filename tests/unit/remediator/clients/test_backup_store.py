"""The newest backups are found without listing all, in a generated S3 listing and in obstore's memory store."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import obstore
import pytest
from aiohttp import web
from obstore.store import LocalStore, MemoryStore, S3Store

from benchmarks.many_keys import PATTERN, ManyKeys
from remediator.clients.backup_store import MIN_BACKUPS, BackupFolder
from runbookd.inventory import BackupNames, Check, Marker, ProofKind

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = BackupNames(PATTERN, ZoneInfo("UTC"))
DAY = timedelta(days=1)


async def test_listing_of_a_million_backups_reads_only_the_last_days() -> None:
    keys = ManyKeys(1_000_000, NOW - DAY, step=timedelta(minutes=10))
    runner = web.AppRunner(keys.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    config = {"access_key_id": "a", "secret_access_key": "b", "region": "us-east-1", "endpoint": endpoint}
    store = S3Store("bucket", prefix="db", config=config, client_options={"allow_http": True})
    found = await BackupFolder(store, NAMES).list_newest(NOW)
    await runner.cleanup()
    assert found[0].at == NOW - DAY
    assert len(found) >= MIN_BACKUPS
    assert keys.requests == 2


@pytest.mark.parametrize("step", [DAY, 7 * DAY, 365 * DAY])
@pytest.mark.parametrize("pattern", [PATTERN, "db_%d%m%Y_%H%M%S.dump"])
async def test_few_old_or_unsorted_backups_are_listed_too(step: timedelta, pattern: str) -> None:
    store, names = MemoryStore(), BackupNames(pattern, ZoneInfo("UTC"))
    dates = [NOW - number * step for number in range(20)]
    for date in dates:
        await obstore.put_async(store, names.name_at(date), b"dump")
    found = await BackupFolder(store, names).list_newest(NOW)
    assert [backup.at for backup in found][:MIN_BACKUPS] == dates[:MIN_BACKUPS]


async def test_backup_is_returned_by_name_or_none() -> None:
    store = MemoryStore()
    name = NAMES.name_at(NOW)
    await obstore.put_async(store, name, b"dump")
    folder = BackupFolder(store, NAMES)
    [listed] = await folder.list_newest(NOW)
    assert await folder.get(name) == listed
    assert await folder.get(NAMES.name_at(NOW - DAY)) is None


async def test_marker_in_a_local_folder_is_for_the_exporters_user_and_the_backup_is_not(tmp_path: Path) -> None:
    before = os.umask(0o077)  # that of the remediator's service
    try:
        folder = BackupFolder(LocalStore(str(tmp_path)), NAMES)
        name = NAMES.name_at(NOW)
        await obstore.put_async(folder.store, name, b"dump")
        await folder.write_marker(
            Marker(proof=ProofKind.VERIFIED, backup=name, size=4, at=NOW, checks=frozenset({Check.END}))
        )
    finally:
        os.umask(before)
    assert _modes(tmp_path) == {name: 0o600, f"{name}.verified.json": 0o644}


def _modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
