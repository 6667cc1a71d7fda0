"""Each fault that prevents a listing has its own reason in a metric and one line on the landing page.

Folder, bucket and address are real; refusals that moto does not know are imitated as S3 words them.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from tests.integration.exporter.backups.stored_backups import DAY, HOUR, folder_of, inventory, name_of

REASONS = {"options", "endpoint", "region", "credentials", "clock", "folder", "report", "timeout", "other"}
Refuse = Callable[[int, str], Awaitable[str]]


@pytest.fixture
async def refuse() -> AsyncIterator[Refuse]:
    """Start a storage that gives the same answer to every request, with a header as large as some proxies add."""
    runners: list[web.AppRunner] = []

    async def start(status: int, text: str) -> str:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(status=status, text=text, headers={"X-Large": "x" * 9_000})

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runners[-1].addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


def s3(endpoint: str, **more: str) -> dict[str, str]:
    keys = {"access_key_id": "hunter2", "secret_access_key": "hunter2", "region": "us-east-1", "allow_http": "true"}
    return {**keys, "endpoint": endpoint, **more}


async def wait_for_failure(exporter, reason: str):
    page = await exporter.scrape_until(lambda page: page.value("backup_listing_failed", reason=reason) == 1, 20)
    reasons = {dict(labels)["reason"]: value for labels, value in page.series("backup_listing_failed").items()}
    assert set(reasons) == REASONS
    assert sum(reasons.values()) == 1
    assert page.value("backup_up") == 0
    return page


async def landing_page(exporter) -> str:
    return (await exporter.get("/"))[1]


@pytest.mark.parametrize(
    ("status", "code", "reason", "message"),
    [
        (403, "SignatureDoesNotMatch", "credentials", "the storage refuses the credentials"),
        (403, "InvalidAccessKeyId", "credentials", "the storage refuses the credentials"),
        (403, "AccessDenied", "credentials", "check them and their right to list the folder"),
        (403, "RequestTimeTooSkewed", "clock", "set this machine&#x27;s clock"),
        (400, "AuthorizationHeaderMalformed", "region", "the bucket is in another region; set the option aws_region"),
        (301, "PermanentRedirect", "region", "the bucket is in another region; set the option aws_region"),
        (404, "NoSuchBucket", "folder", "the bucket or folder does not exist; create it or correct url"),
        (418, "Teapot", "other", "the storage answered with status 418"),
    ],
)
async def test_storage_refusal_is_reported_by_reason_without_keys(
    start_exporter, refuse: Refuse, capsys, status: int, code: str, reason: str, message: str
) -> None:
    body = f"<Error><Code>{code}</Code><Message>no</Message><AWSAccessKeyId>hunter2</AWSAccessKeyId></Error>"
    exporter = await start_exporter(inventory("s3://bucket/db/", options=s3(await refuse(status, body))))
    await wait_for_failure(exporter, reason)
    page = await landing_page(exporter)
    assert message in page
    out, err = capsys.readouterr()
    assert "hunter2" not in page + out + err


async def test_web_page_instead_of_a_storage_is_reported_as_endpoint(start_exporter, refuse: Refuse) -> None:
    exporter = await start_exporter(
        inventory("s3://bucket/db/", options=s3(await refuse(200, "<!DOCTYPE html><html><head><meta></head></html>")))
    )
    await wait_for_failure(exporter, "endpoint")
    assert "is not a storage of this kind" in await landing_page(exporter)


async def test_unreachable_storage_is_reported_as_endpoint(start_exporter) -> None:
    await wait_for_failure(
        await start_exporter(inventory("s3://bucket/db/", options=s3("http://127.0.0.1:1"))), "endpoint"
    )


async def test_missing_bucket_is_reported_as_folder(start_exporter, bucket) -> None:
    await wait_for_failure(await start_exporter(inventory("s3://no-such/db/", options=s3(bucket.server.url))), "folder")


async def test_missing_folder_on_disk_is_reported_as_folder(start_exporter, tmp_path: Path) -> None:
    await wait_for_failure(await start_exporter(inventory(f"file://{tmp_path}/none")), "folder")


async def test_unknown_option_is_reported_as_options(start_exporter) -> None:
    options = s3("http://127.0.0.1:1", nonsense="hunter2")
    await wait_for_failure(await start_exporter(inventory("s3://bucket/db/", options=options)), "options")


async def test_samples_stay_during_a_fault_and_its_reason_clears_afterwards(start_exporter, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / name_of(HOUR)).write_bytes(b"dump")
    exporter = await start_exporter(inventory(folder.as_uri()))
    await exporter.scrape_until(lambda page: page.value("backup_up") == 1)
    folder.rename(tmp_path / "elsewhere")
    page = await wait_for_failure(exporter, "folder")
    assert page.value("backup_objects") == 1
    requests = page.value("backup_list_requests_total")
    (tmp_path / "elsewhere").rename(folder)
    page = await exporter.scrape_until(lambda page: page.value("backup_up") == 1)
    assert page.value("backup_listing_failed", reason="folder") == 0
    assert (page.value("backup_list_requests_total") or 0) > (requests or 0)


def report_inventory(place: dict[str, str], kind: str = "full") -> str:
    target = {"report": {"format": "restic", **place}, "refresh": "1s", "kind": kind}
    return yaml.safe_dump({"stacks": {"shop": {"backups": {"nightly": target}}}})


def snapshots(age: float) -> str:
    made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age))
    return json.dumps(
        [{"time": made_at, "id": "ab" * 32, "summary": {"total_bytes_processed": 70, "data_added_packed": 5}}]
    )


async def test_report_in_a_file_is_read_and_its_faults_are_reported(start_exporter, tmp_path: Path) -> None:
    file = tmp_path / "snapshots.json"
    file.write_text(snapshots(3600))
    written = time.time() - DAY.total_seconds()
    os.utime(file, (written, written))
    exporter = await start_exporter(report_inventory({"file": str(file)}, "files"))
    page = await exporter.scrape_until(lambda page: page.value("backup_up") == 1)
    assert time.time() - 3700 < (page.value("backup_last_success_timestamp_seconds", kind="files") or 0)
    assert page.value("backup_last_size_bytes") == 70
    assert page.value("backup_bytes") == 5
    assert page.value("backup_encrypted") == 1
    assert abs((page.value("backup_last_check_timestamp_seconds") or 0) - written) < 1
    assert page.value("backup_list_requests_total") == 0
    file.write_text("[{")
    await wait_for_failure(exporter, "report")
    assert "not a restic report" in await landing_page(exporter)
    file.unlink()
    await wait_for_failure(exporter, "folder")
    assert f"cannot read {file}" in await landing_page(exporter)


async def test_report_at_a_url_is_read(start_exporter, refuse: Refuse) -> None:
    exporter = await start_exporter(report_inventory({"url": await refuse(200, snapshots(3600))}))
    page = await exporter.scrape_until(lambda page: page.value("backup_up") == 1)
    assert page.value("backup_objects") == 1
    assert time.time() - (page.value("backup_last_check_timestamp_seconds") or 0) < 60


async def test_unavailable_report_is_reported_as_endpoint(start_exporter, refuse: Refuse) -> None:
    await wait_for_failure(await start_exporter(report_inventory({"url": await refuse(500, "")})), "endpoint")
    await wait_for_failure(await start_exporter(report_inventory({"url": "http://127.0.0.1:1/"})), "endpoint")
