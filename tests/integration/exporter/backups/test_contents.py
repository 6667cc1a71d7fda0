"""The states of backups in a real folder, or on a real S3 server where only a storage over HTTP has them."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.integration.exporter.backups.stored_backups import DAY, HOUR, folder_of, inventory, name_of


async def wait_until_listed(exporter, **labels: str):
    return await exporter.scrape_until(lambda page: page.value("backup_up", **labels) == 1)


def states(page) -> dict[str, float]:
    return {dict(labels)["state"]: value for labels, value in page.series("backup_incomplete_objects").items()}


async def test_newest_size_is_reported_beside_the_median_of_earlier_ones(start_exporter, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for number, size in enumerate([40, 100, 300, 200, 120, 110, 130, 140, 9_999]):
        (folder / name_of(HOUR + number * DAY)).write_bytes(b"x" * size)
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert page.value("backup_last_size_bytes") == 40
    assert page.value("backup_size_median_bytes") == 130  # of the seven before the newest; the ninth is too old
    assert page.value("backup_objects") == 9
    assert page.value("backup_bytes") == 40 + 100 + 300 + 200 + 120 + 110 + 130 + 140 + 9_999
    oldest = datetime.strptime(name_of(HOUR + 8 * DAY), "db_%Y%m%d_%H%M%S.dump").replace(tzinfo=UTC)
    assert abs((page.value("backup_oldest_timestamp_seconds") or 0) - oldest.timestamp()) < 60
    assert page.value("backup_found") == 1
    assert page.value("backup_listing_truncated") == 0
    assert set(states(page).values()) == {0}


async def test_empty_folder_reports_no_date_and_no_size(start_exporter, tmp_path: Path) -> None:
    page = await wait_until_listed(await start_exporter(inventory(folder_of(tmp_path).as_uri())))
    assert page.value("backup_found") == 0
    assert page.value("backup_objects") == 0
    for absent in (
        "last_success_timestamp_seconds",
        "last_size_bytes",
        "size_median_bytes",
        "oldest_timestamp_seconds",
    ):
        assert page.series(f"backup_{absent}") == {}


async def test_unmatched_objects_reveal_a_pattern_that_matches_nothing(start_exporter, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for name in ("database-2026-11-20.dump", "database-2026-11-21.dump"):
        (folder / name).write_bytes(b"dump")
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert page.value("backup_found") == 0
    assert page.value("backup_unmatched_objects") == 2


@pytest.mark.parametrize(
    ("age", "name", "content", "state"),
    [
        (HOUR, "{}", b"", "empty"),
        (HOUR, "{}.partial", b"half", "uploading"),
        (HOUR, "{}.0a1b2c3d.partial", b"half", "uploading"),
        (HOUR, ".{}.Xy12Zz", b"half", "uploading"),
        (-DAY, "{}", b"whole", "future"),
    ],
)
async def test_newest_incomplete_object_is_counted_by_reason(
    start_exporter, tmp_path: Path, age: timedelta, name: str, content: bytes, state: str
) -> None:
    folder = folder_of(tmp_path)
    (folder / name_of(DAY)).write_bytes(b"whole")
    (folder / name.format(name_of(age))).write_bytes(content)
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert {kind: number for kind, number in states(page).items() if number} == {state: 1}
    assert page.value("backup_objects") == 1
    assert page.value("backup_last_size_bytes") == len(b"whole")
    assert page.value("backup_unmatched_objects") == 0


async def test_incomplete_objects_older_than_the_newest_backup_are_not_counted(start_exporter, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / name_of(2 * DAY)).write_bytes(b"")
    (folder / f"{name_of(3 * DAY)}.partial").write_bytes(b"half")
    (folder / name_of(DAY)).write_bytes(b"whole")
    page = await wait_until_listed(await start_exporter(inventory(folder.as_uri())))
    assert set(states(page).values()) == {0}


async def test_renamed_or_deleted_backup_is_gone_at_the_next_reading(start_exporter, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    old, new = folder / name_of(2 * DAY), folder / name_of(HOUR)
    old.write_bytes(b"old")
    new.write_bytes(b"newer")
    exporter = await start_exporter(inventory(folder.as_uri()))
    assert (await wait_until_listed(exporter)).value("backup_last_size_bytes") == 5
    await asyncio.to_thread(new.rename, folder / "keep_this_one.dump")
    page = await exporter.scrape_until(lambda page: page.value("backup_last_size_bytes") == 3)
    assert page.value("backup_unmatched_objects") == 1
    await asyncio.to_thread(old.unlink)
    page = await exporter.scrape_until(lambda page: page.value("backup_found") == 0)
    assert page.series("backup_last_success_timestamp_seconds") == {}


async def test_names_without_a_date_are_dated_by_the_storage(start_exporter, tmp_path: Path) -> None:
    latest = folder_of(tmp_path) / "latest_backup.sql.gz"
    latest.write_bytes(b"dump")
    os.utime(latest, (1_700_000_000, 1_700_000_000))
    settings = {"pattern": "latest_backup.sql.gz", "dated_by": "last_modified"}
    page = await wait_until_listed(await start_exporter(inventory(latest.parent.as_uri(), **settings)))
    assert page.value("backup_last_success_timestamp_seconds") == 1_700_000_000


async def test_dated_folders_are_backups(start_exporter, bucket, options, put) -> None:
    today = datetime.now(UTC)
    for day in range(3):
        for file in ("a.png", "below/b.png"):
            put(f"files/{today - day * DAY:%Y%m%d}/{file}", b"x" * (10 + day))
    put("files/elsewhere/c.png", b"x")
    put(f"files/{today + 2 * DAY:%Y%m%d}/a.png", b"x")
    settings = {"pattern": "%Y%m%d/", "kind": "files", "options_file": str(options)}
    page = await wait_until_listed(await start_exporter(inventory(f"{bucket.url}/files/", **settings)), kind="files")
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
    assert page.value("backup_last_success_timestamp_seconds") == midnight.timestamp()
    assert page.value("backup_last_size_bytes") == 20
    assert page.value("backup_objects") == 3
    assert page.value("backup_bytes") is None  # only the newest folder has been listed
    assert page.value("backup_unmatched_objects") == 1
    assert states(page)["future"] == 1
    assert page.value("backup_oldest_timestamp_seconds") == (midnight - 2 * DAY).timestamp()


async def test_unfinished_multipart_upload_is_not_counted(start_exporter, bucket, options, put) -> None:
    put(f"db/{name_of(DAY)}", b"whole")
    address = f"{bucket.server.url}/{bucket.name}/db/{name_of(timedelta(minutes=1))}"
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=demo/20260101/us-east-1/s3/aws4_request"}
    async with aiohttp.ClientSession(headers=signed) as session, session.post(f"{address}?uploads") as answer:
        assert answer.status == 200
        upload = (await answer.text()).split("<UploadId>")[1].split("<")[0]
        async with session.put(f"{address}?partNumber=1&uploadId={upload}", data=b"half") as stored:
            assert stored.status == 200
    page = await wait_until_listed(await start_exporter(inventory(f"{bucket.url}/db/", options_file=str(options))))
    assert page.value("backup_objects") == 1
    assert page.value("backup_last_size_bytes") == len(b"whole")


async def test_scrapes_do_not_list_the_storage(start_exporter, bucket, options, put) -> None:
    put(f"db/{name_of(HOUR)}", b"dump")
    exporter = await start_exporter(inventory(f"{bucket.url}/db/", options_file=str(options), refresh="5m"))
    await wait_until_listed(exporter)
    for _ in range(20):
        page = await exporter.scrape()
    assert page.value("backup_list_requests_total") == 1
