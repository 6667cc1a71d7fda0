"""The numbers of the backups collector, against a real S3 server and a real folder."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from aiohttp import web

from demo.servers.s3 import REGION

PATTERN = "db_%Y%m%d_%H%M%S.dump"
Put = Callable[[str, bytes], None]


def inventory(url: str, **settings: object) -> str:
    target = {"url": url, "pattern": PATTERN, "refresh": "1s", **settings}
    return yaml.safe_dump({"stacks": {"shop": {"backups": {"nightly": target}}}})


def at(moment: datetime) -> str:
    return moment.strftime(PATTERN)


async def wait_until_listed(exporter):
    return await exporter.scrape_until(lambda page: page.value("backup_up") == 1)


async def test_newest_complete_backup_is_reported(start_exporter, bucket, options, put) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    newest = now - timedelta(hours=3)
    put(f"db/{at(now - timedelta(days=2))}", b"old")
    put(f"db/{at(newest)}", b"newest one")
    put(f"db/{at(now - timedelta(hours=2))}", b"")  # no bytes
    put(f"db/{at(now - timedelta(hours=1))}.partial", b"still uploading")
    put(f"db/{at(now + timedelta(days=1))}", b"from the future")
    put(f"db/elsewhere/{at(now)}", b"in another folder")
    put("db/readme.txt", b"no backup")
    began = time.time()
    exporter = await start_exporter(inventory(f"{bucket.url}/db/", options_file=str(options), kind="log"))
    page = await wait_until_listed(exporter)
    labels = {"stack": "shop", "target": "nightly", "kind": "log"}
    assert page.value("backup_last_success_timestamp_seconds", **labels) == newest.timestamp()
    assert page.value("backup_last_size_bytes", **labels) == len(b"newest one")
    assert page.value("backup_objects", **labels) == 2
    assert began - 1 <= (page.value("backup_last_check_timestamp_seconds", **labels) or 0) <= time.time()
    assert page.value("backup_list_requests_total", **labels) == 1
    assert page.value("runbook_exporter_collector_last_success_timestamp_seconds", collector="backups") is not None


async def test_date_in_a_name_is_read_in_the_zone_of_the_target(start_exporter, bucket, options, put) -> None:
    put("db/db_20260115_020000.dump")
    exporter = await start_exporter(inventory(f"{bucket.url}/db/", options_file=str(options), zone="America/New_York"))
    page = await wait_until_listed(exporter)
    expected = datetime(2026, 1, 15, 2, tzinfo=ZoneInfo("America/New_York")).timestamp()
    assert page.value("backup_last_success_timestamp_seconds") == expected


async def test_new_backup_is_reported_at_the_next_refresh(start_exporter, bucket, options, put) -> None:
    exporter = await start_exporter(inventory(f"{bucket.url}/db/", options_file=str(options)))
    page = await wait_until_listed(exporter)
    assert page.value("backup_objects") == 0
    assert page.series("backup_last_success_timestamp_seconds") == {}
    assert page.series("backup_last_size_bytes") == {}
    put("db/db_20260115_020000.dump")
    page = await exporter.scrape_until(lambda page: page.value("backup_objects") == 1)
    assert (page.value("backup_list_requests_total") or 0) >= 2


async def test_folder_on_disk_is_read(start_exporter, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "db_20260115_020000.dump").write_bytes(b"12345")
    page = await wait_until_listed(await start_exporter(inventory(f"file://{folder}")))
    assert page.value("backup_last_size_bytes") == 5


async def test_folder_of_more_than_one_page_is_counted_completely(start_exporter, bucket, options, put) -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(1005):
        put(f"db/{at(first + timedelta(hours=number))}")
    page = await wait_until_listed(await start_exporter(inventory(f"{bucket.url}/db/", options_file=str(options))))
    assert page.value("backup_objects") == 1005
    assert page.value("backup_last_success_timestamp_seconds") == (first + timedelta(hours=1004)).timestamp()
    assert page.value("backup_list_requests_total") == 2
    assert page.value("runbook_exporter_collector_round_trips") == 2


async def test_unreachable_bucket_keeps_its_last_samples_and_is_reported(
    start_exporter, s3_server, bucket, options, put
) -> None:
    put("db/db_20260115_020000.dump")
    exporter = await start_exporter(inventory(f"{bucket.url}/db/", options_file=str(options)))
    await wait_until_listed(exporter)
    options.write_text(options.read_text().replace(str(s3_server.port), "1"))
    page = await exporter.scrape_until(lambda page: page.value("backup_up") == 0, 20)
    assert page.value("runbook_exporter_collector_success", collector="backups") == 0
    assert page.value("backup_objects") == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda file: file.unlink(), "options_file: cannot read {file} (No such file or directory)"),
        (lambda file: file.write_text("{hunter2"), "options_file: {file} is not valid YAML"),
        (lambda file: file.write_text("- hunter2"), "options_file: {file} must be a map of names"),
        (lambda file: file.write_text("nonsense: hunter2"), "there is no option &#x27;nonsense&#x27;"),
        (lambda file: file.write_text(file.read_text().replace("http://", "hunter2://")), "address is wrong"),
        (lambda file: file.write_text(re.sub("127.0.0.1:[0-9]+", "127.0.0.1:1", file.read_text())), "no answer"),
        (lambda file: file.write_text(file.read_text() + "aws_timeout: hunter2\n"), "check url and options"),
    ],
)
async def test_wrong_options_are_reported_without_their_values(
    start_exporter, bucket, options, change, expected, capsys
) -> None:
    change(options)
    exporter = await start_exporter(inventory(f"{bucket.url}/db/", options_file=str(options)))
    page = await exporter.page_with(expected.format(file=options), "/")
    out, err = capsys.readouterr()
    assert "hunter2" not in page + out + err
    assert (await exporter.scrape()).value("backup_up") == 0


async def test_missing_bucket_is_reported(start_exporter, options) -> None:
    exporter = await start_exporter(inventory("s3://no-such-bucket/db/", options_file=str(options)))
    await exporter.page_with("the bucket or folder does not exist", "/")


async def test_missing_folder_on_disk_is_reported(start_exporter, tmp_path: Path) -> None:
    exporter = await start_exporter(inventory(f"file://{tmp_path}/none"))
    await exporter.page_with("the folder does not exist", "/")


async def test_refusal_is_reported_without_the_key_in_the_response(start_exporter, capsys) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=403, text="<Error><AWSAccessKeyId>hunter2</AWSAccessKeyId></Error>")

    app = web.Application()
    app.router.add_get("/{bucket}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        keys = {"access_key_id": "hunter2", "secret_access_key": "hunter2", "region": REGION}
        exporter = await start_exporter(
            inventory("s3://bucket/db/", options={**keys, "endpoint": endpoint, "allow_http": "true"})
        )
        page = await exporter.page_with("refuses the credentials", "/")
    finally:
        await runner.cleanup()
    out, err = capsys.readouterr()
    assert "hunter2" not in page + out + err
