"""One odd name costs one object, and an answer that is no listing is no empty folder, in every kind of storage."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import aiohttp
import boto3
import pytest
from aiohttp import web

from demo.servers.s3 import ACCESS_KEY, REGION, SECRET_KEY
from tests.integration.exporter.backups.stored_backups import DAY, HOUR, folder_of, inventory, name_of

HTML = "<!doctype html><html><head><title>Welcome</title></head><body><p>It works.</p></body></html>"
XHTML = "<html><body><p>It works.</p></body></html>"
OTHER_XML = '<?xml version="1.0"?><Status xmlns="urn:x"><ok/></Status>'
Change = Callable[[web.Request, int], web.Response | None]
StartProxy = Callable[[int, Change], Awaitable[int]]


@pytest.fixture
async def changing_proxy() -> AsyncIterator[StartProxy]:
    """Start a proxy before a storage; a function may replace the answer to a request, given its number."""
    runners: list[web.AppRunner] = []

    async def start(port: int, change: Change) -> int:
        numbers = iter(range(10**9))

        async def forward(request: web.Request) -> web.Response:
            if (changed := change(request, next(numbers))) is not None:
                return changed
            headers = {**request.headers, "Host": request.headers["Host"]}
            async with (
                aiohttp.ClientSession(auto_decompress=False) as session,
                session.request(
                    request.method, f"http://127.0.0.1:{port}{request.raw_path}", headers=headers, allow_redirects=False
                ) as answer,
            ):
                kept = {name: value for name, value in answer.headers.items() if name != "Transfer-Encoding"}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", forward)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return runners[-1].addresses[0][1]

    yield start
    for runner in runners:
        await runner.cleanup()


def s3(port: int) -> dict[str, str]:
    keys = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY, "region": REGION, "allow_http": "true"}
    return {**keys, "endpoint": f"http://127.0.0.1:{port}"}


async def until_up(exporter):
    return await exporter.scrape_until(lambda page: page.value("backup_up") == 1, 20)


ODD_ON_DISK = (b"caf\xe9.txt", b"a\tb", b"new\nline", b"50%", b"back\\slash")
ODD_NAMES = ["old//x.txt", "tab\there.txt", "db_\x7f", "dump\x01", "käse + 50%.txt"]


@pytest.mark.parametrize("settings", [{}, {"dated_by": "last_modified", "pattern": "db_%Y%m%d_%H%M%S.dump"}])
@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_object_name_costs_only_that_object(start_exporter, bucket, s3_server, name, settings) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    for each in (name, name_of(HOUR), name_of(DAY)):
        client.put_object(Bucket=bucket.name, Key=each, Body=b"dump")
    exporter = await start_exporter(inventory(bucket.url, options=s3(s3_server.port), **settings))
    page = await until_up(exporter)
    assert page.value("backup_objects") == 2
    assert page.value("backup_unmatched_objects") == (
        0 if (settings and "/" in name) or (not settings and name[0] == "k") else 1
    )


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    folder = folder_of(tmp_path)
    (folder / name_of(HOUR)).write_bytes(b"dump")
    for name in ODD_ON_DISK:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"x")
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    (folder / "circle").symlink_to("circle")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.dump.verified.json")).write_bytes(b"{}")
    os.mkfifo(folder / "pipe")
    return folder


async def test_odd_names_on_disk_cost_only_themselves(start_exporter, odd_folder: Path) -> None:
    page = await until_up(await start_exporter(inventory(odd_folder.as_uri())))
    assert page.value("backup_objects") == 1
    assert page.value("backup_unmatched_objects") == len(ODD_ON_DISK) + 3
    assert page.value("backup_proofs", proof="verified", state="unreadable") == 1


async def test_file_instead_of_a_folder_is_reported(start_exporter, tmp_path: Path) -> None:
    file = tmp_path / "backups"
    file.write_text("no folder")
    exporter = await start_exporter(inventory(file.as_uri()))
    await exporter.scrape_until(lambda page: page.value("backup_listing_failed", reason="folder") == 1, 20)
    page = await exporter.scrape()
    assert page.value("backup_up") == 0
    assert page.series("backup_found") == {}


@pytest.mark.parametrize("body", [HTML, XHTML, OTHER_XML, "", "{}"])
async def test_answer_that_is_no_listing_is_no_empty_folder(
    start_exporter, bucket, s3_server, changing_proxy, body
) -> None:
    port = await changing_proxy(s3_server.port, lambda *_: web.Response(text=body, content_type="text/html"))
    exporter = await start_exporter(inventory(bucket.url, options=s3(port)))
    page = await exporter.scrape_until(lambda page: page.value("backup_listing_failed", reason="endpoint") == 1, 20)
    assert page.value("backup_up") == 0
    assert page.series("backup_found") == {}
    assert "is not a storage of this kind" in (await exporter.get("/"))[1]


async def test_single_wrong_answer_costs_no_backup(start_exporter, bucket, s3_server, changing_proxy, put) -> None:
    put(name_of(HOUR))
    page_of_html = web.Response
    port = await changing_proxy(
        s3_server.port, lambda _, number: page_of_html(text=XHTML, content_type="text/html") if number == 0 else None
    )
    page = await until_up(await start_exporter(inventory(bucket.url, options=s3(port))))
    assert page.value("backup_found") == 1
    assert page.value("backup_objects") == 1


async def test_empty_bucket_is_an_empty_folder(start_exporter, bucket, s3_server, put) -> None:
    exporter = await start_exporter(inventory(bucket.url, options=s3(s3_server.port)))
    page = await until_up(exporter)
    assert page.value("backup_found") == 0
    put(name_of(timedelta(minutes=5)))
    await exporter.scrape_until(lambda page: page.value("backup_found") == 1, 20)


@pytest.mark.parametrize("scheme", ["gs", "az"])
async def test_web_page_is_no_empty_folder_of_another_cloud(start_exporter, changing_proxy, scheme) -> None:
    port = await changing_proxy(1, lambda *_: web.Response(text=XHTML, content_type="text/html"))
    address = f"http://127.0.0.1:{port}"
    options = {
        "gs": {"google_base_url": address, "google_skip_signature": "true", "allow_http": "true"},
        "az": {
            "azure_endpoint": address,
            "azure_skip_signature": "true",
            "allow_http": "true",
            "azure_storage_account_name": "x",
        },
    }
    exporter = await start_exporter(inventory(f"{scheme}://bucket/", options=options[scheme]))
    page = await exporter.scrape_until(lambda page: sum(page.series("backup_listing_failed").values()) == 1, 20)
    assert page.value("backup_up") == 0
    assert page.series("backup_found") == {}
