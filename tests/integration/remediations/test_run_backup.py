"""With a real pg_dump of a real PostgreSQL into a real S3 server."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import obstore
import pytest
import yaml
from aiohttp import web
from obstore.store import S3Store

from demo.servers.postgres import PostgresServer
from demo.toolchain.paths import launcher
from remediator.access import backup_folder
from remediator.access.child import run
from remediator.errors import TargetUnreachable
from remediator.remediations import REMEDIATIONS
from remediator.remediations.base import Item, ItemState, Outcome, Plan, Scope

PATTERN = "shop_%Y%m%d_%H%M%S.dump"
SECRET = "storage-secret"
CHECK = [str(launcher("pg_restore")), "--file=/dev/null"]
remediation = REMEDIATIONS["run_backup"]


@pytest.fixture(scope="module")
def dumper(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    postgres_server.add_role("dumper", "IN ROLE pg_read_all_data")
    yield postgres_server
    postgres_server.sql("DROP ROLE dumper")


@pytest.fixture
def shop(dumper: PostgresServer, database: Any) -> Any:
    database.sql("CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS code FROM generate_series(1, 20000) AS n")
    return database


@pytest.fixture
def store(bucket: Any) -> S3Store:
    """The folder as another program sees it."""
    return S3Store(
        bucket.name,
        prefix="db",
        config={
            "aws_access_key_id": "other",
            "aws_secret_access_key": "other",
            "aws_region": "us-east-1",
            "aws_endpoint": bucket.server.url,
        },
        client_options={"allow_http": True},
    )


@pytest.fixture
def options_file(tmp_path: Path, bucket: Any) -> Path:
    file = tmp_path / "options.yml"
    reach(file, bucket.server.url)
    return file


def reach(file: Path, endpoint: str) -> None:
    file.write_text(yaml.safe_dump(options(endpoint)))


def options(endpoint: str) -> dict[str, Any]:
    return {
        "aws_access_key_id": "remediator",
        "aws_secret_access_key": SECRET,
        "aws_region": "us-east-1",
        "aws_endpoint": endpoint,
        "aws_allow_http": True,
    }


@pytest.fixture
def scope(shop: Any, bucket: Any, options_file: Path, scope_of: Any) -> Callable[..., Scope]:
    def make(dump: dict[str, Any] | None = None, target: dict[str, Any] | None = None, **settings: Any) -> Scope:
        command = [str(launcher("pg_dump")), "--format=custom", "--no-password"]
        made = {"dsn": shop.dsn("dumper"), "command": command, "check": CHECK, "timeout": "30s", **(dump or {})}
        nightly = {
            "url": f"s3://{bucket.name}/db/",
            "pattern": PATTERN,
            "admin_options_file": str(options_file),
            "dump": made,
            **(target or {}),
        }
        return scope_of("backups", stack={"backups": {"nightly": nightly}}, name="nightly", **settings)

    return make


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where dumps are written, so that a test can look for what is left of them."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@asynccontextmanager
async def opened(scope: Scope) -> Any:
    async with remediation.open(scope) as hands:
        yield hands


async def plan_of(scope: Scope) -> Plan:
    async with opened(scope) as hands:
        plan: Plan = await hands.plan()
        return plan


async def apply(scope: Scope, item: Item) -> Outcome:
    async with opened(scope) as hands:
        [outcome] = await hands.apply([item])
        return outcome


async def look_again(scope: Scope, *items: Item) -> Any:
    async with opened(scope) as hands:
        return await hands.look_again(items)


async def settle(scope: Scope, item: Item) -> Outcome:
    async with opened(scope) as hands:
        [outcome] = await hands.settle([item])
        return outcome


def name_of(age: timedelta) -> str:
    return (datetime.now(UTC) - age).strftime(PATTERN)


async def put(store: S3Store, age: timedelta, content: bytes = b"an older dump") -> str:
    name = name_of(age)
    await obstore.put_async(store, name, content)
    return name


async def names(store: S3Store) -> list[str]:
    return sorted(entry["path"] for entry in (await obstore.list_with_delimiter_async(store))["objects"])


async def content_of(store: S3Store, name: str) -> bytes:
    return bytes(await (await obstore.get_async(store, name)).bytes_async())


DAY, HOUR = timedelta(days=1), timedelta(hours=1)


async def test_makes_the_missing_backup_and_proves_it(scope, store, temporary: Path) -> None:
    older = [await put(store, age) for age in (50 * HOUR, 26 * HOUR)]
    plan = await plan_of(scope())
    [item] = plan.items
    assert plan.found == 1
    assert item.identity["newest"] == older[1]
    assert abs(datetime.strptime(item.identity["object"], PATTERN).replace(tzinfo=UTC) - datetime.now(UTC)) < HOUR
    assert item.evidence["newest"]["size"] == len(b"an older dump")
    assert abs(item.evidence["newest"]["age_seconds"] - 26 * 3600) < 60
    assert [kept[0] for kept in item.evidence["kept"]] == [older[1], older[0]]

    outcome = await apply(scope(), item)
    assert outcome.state is ItemState.APPLIED
    dump = await content_of(store, item.identity["object"])
    assert hashlib.sha256(dump).hexdigest() in outcome.detail
    assert await names(store) == sorted([*older, item.identity["object"]])
    assert [await content_of(store, name) for name in older] == [b"an older dump"] * 2
    assert entries(temporary) == []
    verdict = await look_again(scope(), item)
    assert verdict.clean
    assert verdict.evidence["wrong"] == []
    assert (await settle(scope(), item)).state is ItemState.APPLIED
    assert (await plan_of(scope())).found == 0


async def test_what_was_stored_restores_all_rows(scope, store, shop, dumper, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    await apply(scope(), item)
    file = tmp_path / "restore.dump"
    file.write_bytes(await content_of(store, item.identity["object"]))
    restored = sql_of(file)
    assert restored.count("\n", restored.index("COPY public.orders")) > 20_000


def sql_of(dump: Path) -> str:
    return subprocess.run([launcher("pg_restore"), "-f", "-", dump], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("age", "settings", "found"),
    [
        (timedelta(hours=23), {}, 0),
        (timedelta(hours=25), {}, 1),
        (timedelta(hours=2), {"older_than": "1h"}, 1),
        (timedelta(hours=-20), {}, 1),  # a name of the future proves nothing
    ],
)
async def test_plans_only_when_the_newest_is_too_old(scope, store, age: timedelta, settings: Any, found: int) -> None:
    await put(store, 90 * HOUR)
    await put(store, age)
    assert (await plan_of(scope(**settings))).found == found


async def test_what_is_no_backup_counts_for_nothing(scope, store) -> None:
    await put(store, HOUR, b"")
    await obstore.put_async(store, "notes.txt", b"x")
    await obstore.put_async(store, f"folder/{name_of(HOUR)}", b"x")
    [item] = (await plan_of(scope())).items
    assert item.identity["newest"] is None


async def test_names_are_read_and_written_in_the_targets_zone(scope, store) -> None:
    zone = ZoneInfo("Asia/Tokyo")
    await obstore.put_async(store, (datetime.now(zone) - 23 * HOUR).strftime(PATTERN), b"x")
    in_zone = scope(target={"zone": "Asia/Tokyo"})
    assert (await plan_of(in_zone)).found == 0
    [item] = (await plan_of(scope(target={"zone": "Asia/Tokyo"}, older_than="22h"))).items
    at = datetime.strptime(item.identity["object"], PATTERN).replace(tzinfo=zone)
    assert abs(at - datetime.now(UTC)) < HOUR


async def test_skips_when_a_newer_backup_has_come(scope, store) -> None:
    await put(store, 26 * HOUR)
    [item] = (await plan_of(scope())).items
    newer = await put(store, HOUR)
    outcome = await apply(scope(), item)
    assert outcome.state is ItemState.SKIPPED
    assert item.identity["object"] not in await names(store)
    assert newer in await names(store)


async def test_never_overwrites_what_appears_under_its_name(scope, store, tmp_path: Path) -> None:
    """It appears after the last look, while the dump is being made: only the storage itself can refuse then."""
    [item] = (await plan_of(scope())).items
    go, going = tmp_path / "go", tmp_path / "going"
    slow = script(tmp_path, f"echo > {going}; while [ ! -e {go} ]; do sleep 0.05; done; echo dump")
    running = asyncio.create_task(apply(scope({"command": [slow], "check": ["cat"]}), item))
    await appearance_of(going)
    await obstore.put_async(store, item.identity["object"], b"somebody else's")
    go.touch()
    outcome = await running
    assert outcome.state is ItemState.FAILED
    assert "made by somebody else meanwhile" in outcome.detail
    assert await content_of(store, item.identity["object"]) == b"somebody else's"


async def test_never_overwrites_a_large_one_either(scope, store, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(backup_folder, "ONE_PUT", 10)
    [item] = (await plan_of(scope())).items
    big = script(tmp_path, "head -c 9000000 /dev/zero")
    dump = {"command": [big], "check": ["cat"]}
    assert (await apply(scope(dump), item)).state is ItemState.APPLIED
    again = replace(item, identity={**item.identity, "newest": item.identity["object"]})
    outcome = await apply(scope({**dump, "command": [script(tmp_path, "head -c 9000001 /dev/zero")]}), again)
    assert outcome.state is ItemState.FAILED
    assert len(await content_of(store, item.identity["object"])) == 9_000_000


async def test_a_repeated_request_that_meets_its_own_object_is_applied(scope, store, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    dump = {"command": [script(tmp_path, "echo the same")], "check": ["cat"]}
    assert (await apply(scope(dump), item)).state is ItemState.APPLIED
    again = replace(item, identity={**item.identity, "newest": item.identity["object"]})
    outcome = await apply(scope(dump), again)
    assert outcome.state is ItemState.APPLIED
    assert "first answer was lost" in outcome.detail


@asynccontextmanager
async def faulty(endpoint: str, faults: Callable[[web.Request, bytes], web.Response | None]) -> Any:
    """The address of a way to the storage on which `faults` may put an answer of its own in place of the storage's."""

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        async with http.request(
            request.method, f"{endpoint}{request.raw_path}", data=body, headers=request.headers
        ) as answer:
            content = await answer.read()
            headers = {name: answer.headers[name] for name in ("ETag", "Last-Modified") if name in answer.headers}
            real = web.Response(status=answer.status, body=content, headers=headers)
            return faults(request, content) or real

    async with aiohttp.ClientSession(auto_decompress=False) as http:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
        await runner.cleanup()


def damaging(request: web.Request, content: bytes) -> web.Response | None:
    """Objects come back with one byte changed."""
    if request.method != "GET" or "list-type" in request.query_string:
        return None
    headers = {"ETag": '"x"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
    return web.Response(body=b"X" + content[1:], headers=headers)


def damaging_and_keeping(request: web.Request, content: bytes) -> web.Response | None:
    """The same, where nobody may delete."""
    return web.Response(status=403) if request.method in ("DELETE", "POST") else damaging(request, content)


async def test_what_the_storage_gives_back_differently_is_taken_back(
    scope, store, bucket: Any, options_file: Path
) -> None:
    [item] = (await plan_of(scope())).items
    async with faulty(bucket.server.url, damaging) as url:
        reach(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.FAILED
    assert "it was removed again" in outcome.detail
    assert await names(store) == []


async def test_what_can_not_be_taken_back_is_for_a_person(scope, store, bucket: Any, options_file: Path) -> None:
    """moto's deletion of one object arrives before it is refused; what counts is what we say without a confirmation."""
    [item] = (await plan_of(scope())).items
    async with faulty(bucket.server.url, damaging_and_keeping) as url:
        reach(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.UNKNOWN
    assert outcome.detail.endswith("remove it")


async def test_an_answer_that_is_lost_does_not_lose_the_backup(scope, store, bucket: Any, options_file: Path) -> None:
    """The storage has stored it and answers 500; the repeated request then meets an object that is there: ours."""
    lost: list[str] = []

    def losing(request: web.Request, _content: bytes) -> web.Response | None:
        if request.method != "PUT" or lost:
            return None
        lost.append(request.path)
        return web.Response(status=500)

    [item] = (await plan_of(scope())).items
    async with faulty(bucket.server.url, losing) as url:
        reach(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert len(lost) == 1
    assert outcome.state is ItemState.APPLIED
    assert await content_of(store, item.identity["object"]) == b"dump\n"


async def test_a_storage_that_refuses_to_store_is_a_failure(scope, store, bucket: Any, options_file: Path) -> None:
    def refusing(request: web.Request, _content: bytes) -> web.Response | None:
        body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        if request.method == "PUT":
            return web.Response(status=403, text=body)
        return web.Response(status=404) if item.identity["object"] in request.path else None

    [item] = (await plan_of(scope())).items
    async with faulty(bucket.server.url, refusing) as url:
        reach(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.FAILED
    assert outcome.detail.endswith("was not stored: AccessDenied: Access Denied")


async def test_without_room_for_the_dump_it_does_not_start(scope, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    make_sparse(folder / name_of(26 * HOUR), 2**43)
    local = scope(target={"url": folder.as_uri(), "admin_options_file": None})
    [item] = (await plan_of(local)).items
    outcome = await apply(local, item)
    assert outcome.state is ItemState.FAILED
    assert "point TMPDIR to more space" in outcome.detail


def make_sparse(file: Path, size: int) -> None:
    with file.open("wb") as content:
        content.truncate(size)


async def test_it_is_not_clean_while_the_newest_is_too_old(scope, store) -> None:
    await put(store, 26 * HOUR)
    assert not (await look_again(scope())).clean
    await put(store, HOUR)
    assert (await look_again(scope())).clean


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9, 0.999])
async def test_a_dump_that_was_cut_is_not_stored(scope, store, shop, tmp_path: Path, kept: float) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(dump_of(shop))
    cut = script(tmp_path, f"head -c {int(whole.stat().st_size * kept)} {whole}")
    [item] = (await plan_of(scope())).items
    outcome = await apply(scope({"command": [cut]}), item)
    assert outcome.state is ItemState.FAILED
    assert "pg_restore ended with 1: pg_restore: error:" in outcome.detail
    assert await names(store) == []


def dump_of(shop: Any) -> bytes:
    command = [launcher("pg_dump"), "--format=custom", shop.dsn("dumper")]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("dump", "words"),
    [
        ({"command": ["false"]}, "false ended with 1"),
        ({"command": ["true"]}, "true wrote nothing to its standard output"),
        ({"command": ["no-such-program"]}, "can not start no-such-program: No such file or directory"),
        ({"command": ["sleep", "60"], "timeout": "1s"}, "not made and checked within 1s; see dump.timeout"),
        ({"check": ["false"]}, "false ended with 1"),
        ({"check": ["sleep", "60"], "timeout": "2s"}, "not made and checked within 2s; see dump.timeout"),
        ({"command": ["sh", "-c", "echo half; kill -9 $$"]}, "sh was ended by signal 9"),
    ],
)
async def test_whatever_goes_wrong_leaves_nothing(
    scope, store, temporary: Path, dump: dict[str, Any], words: str
) -> None:
    older = await put(store, 26 * HOUR)
    [item] = (await plan_of(scope())).items
    outcome = await apply(scope(dump), item)
    assert outcome.state is ItemState.FAILED
    assert words in outcome.detail
    assert await names(store) == [older]
    assert entries(temporary) == []
    assert (await settle(scope(), item)).state is ItemState.NOT_APPLIED


async def test_a_wrong_password_is_told_without_it(scope, shop, store) -> None:
    [item] = (await plan_of(scope())).items
    dsn = shop.dsn("dumper").replace(shop.dsn("dumper").split(":")[2].split("@")[0], "wrong-secret")
    outcome = await apply(scope({"dsn": dsn}), item)
    assert outcome.state is ItemState.FAILED
    assert 'password authentication failed for user "dumper"' in outcome.detail
    assert "wrong-secret" not in outcome.detail
    assert await names(store) == []


async def test_a_command_that_tells_the_password_is_not_repeated(scope, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    telling = script(tmp_path, 'echo "error: $PGPASSWORD" >&2; exit 3')
    outcome = await apply(scope({"command": [telling], "dsn": "postgresql://a:sesame@127.0.0.1/b"}), item)
    assert outcome.detail.endswith("ended with 3: error: ***")


async def test_the_command_gets_path_and_login_alone(scope, store, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leaked")
    dsn = "postgresql://b%40b:p%2Fw@[::1]:5433,db2/shop?sslmode=require&schema=public&connect_timeout=3"
    [item] = (await plan_of(scope())).items
    assert (await apply(scope({"command": ["env"], "check": ["cat"], "dsn": dsn}), item)).state is ItemState.APPLIED
    seen = dict(line.split("=", 1) for line in (await content_of(store, item.identity["object"])).decode().splitlines())
    assert seen == {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "PGUSER": "b@b",
        "PGPASSWORD": "p/w",
        "PGHOST": "::1,db2",
        "PGPORT": "5433,",
        "PGDATABASE": "shop",
        "PGSSLMODE": "require",
        "PGCONNECT_TIMEOUT": "3",
    }


async def test_the_dump_on_disk_is_private(scope, temporary: Path, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    check = script(tmp_path, f"stat -c %a {temporary}/* {temporary}/*/* > {tmp_path}/modes; cat > /dev/null")
    assert (await apply(scope({"command": ["echo", "dump"], "check": [check]}), item)).state is ItemState.APPLIED
    assert (tmp_path / "modes").read_text().split() == ["700", "600"]


async def test_cancelling_ends_the_command_with_its_children(scope, store, temporary: Path, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    stubborn = script(tmp_path, f"trap '' TERM; sleep 300 & echo $! $$ > {tmp_path}/pids; wait")
    running = asyncio.create_task(apply(scope({"command": [stubborn]}), item))
    pids = await pids_in(tmp_path / "pids")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await end_of(pids)
    assert entries(temporary) == []
    assert await names(store) == []


async def test_cancelling_while_it_starts_leaves_nothing_either(tmp_path: Path) -> None:
    """The command may run before asyncio has handed it over; the loop is held up to be sure of that."""
    forking = script(tmp_path, f"sleep 300 & echo $! $$ > {tmp_path}/pids; wait")
    running = asyncio.create_task(run([forking], {"PATH": os.environ["PATH"]}))
    await asyncio.sleep(0)
    for _ in range(10):  # one step of the loop at a time, until the command has been forked
        await asyncio.sleep(0)
        if wait_for_text(tmp_path / "pids", seconds=0.3):
            break
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await end_of(await pids_in(tmp_path / "pids"))


def wait_for_text(file: Path, seconds: float) -> str:
    """Blocks, so that nothing else of this loop goes on."""
    deadline = time.monotonic() + seconds
    while not text_of(file) and time.monotonic() < deadline:
        time.sleep(0.01)
    return text_of(file)


async def test_the_command_dies_with_the_remediator(tmp_path: Path) -> None:
    """Killed without a word, the remediator can not clean up; the kernel does."""
    program = textwrap.dedent(f"""
        import asyncio, sys
        from remediator.access.child import run
        asyncio.run(run(["sh", "-c", "echo $$ > {tmp_path}/pids; exec sleep 300"], {{"PATH": "/usr/bin:/bin"}}))
    """)
    parent = start(program)
    try:
        [pid] = await pids_in(tmp_path / "pids")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    await end_of([pid])


async def end_of(pids: list[int]) -> None:
    """Killed processes are gone within moments; a second is far more than that."""
    for _ in range(50):
        if not (alive := [pid for pid in pids if lives(pid)]):
            return
        await asyncio.sleep(0.02)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"still alive: {alive}")


async def appearance_of(file: Path) -> str:
    """What a command has written into `file`, once the line is complete."""
    for _ in range(500):
        if (text := text_of(file)).endswith("\n"):
            return text
        await asyncio.sleep(0.02)
    raise AssertionError("the command did not start")


async def pids_in(file: Path) -> list[int]:
    return [int(word) for word in (await appearance_of(file)).split()]


def text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def start(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[3])


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def script(folder: Path, text: str) -> str:
    """An executable of this test."""
    file = folder / f"command-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


async def test_it_is_not_clean_when_what_lies_in_the_storage_is_not_readable(scope, store) -> None:
    [item] = (await plan_of(scope())).items
    await apply(scope(), item)
    whole = await content_of(store, item.identity["object"])
    await obstore.put_async(store, item.identity["object"], whole[: len(whole) // 2])
    verdict = await look_again(scope(), item)
    assert not verdict.clean
    assert "is not readable: " in verdict.evidence["wrong"][0]
    assert (await settle(scope(), item)).state is ItemState.UNKNOWN


async def test_it_is_not_clean_when_an_older_backup_was_lost_or_changed(scope, store) -> None:
    lost, changed = await put(store, 50 * HOUR), await put(store, 26 * HOUR)
    [item] = (await plan_of(scope())).items
    await apply(scope(), item)
    await obstore.delete_async(store, lost)
    await obstore.put_async(store, changed, b"another dump!")
    verdict = await look_again(scope(), item)
    assert not verdict.clean
    assert verdict.evidence["wrong"] == [f"{changed} has changed or is gone", f"{lost} has changed or is gone"]


async def test_it_is_not_clean_without_a_new_backup(scope, store) -> None:
    await put(store, 26 * HOUR)
    [item] = (await plan_of(scope())).items
    verdict = await look_again(scope(), item)
    assert not verdict.clean
    assert verdict.evidence["wrong"] == [f"{item.identity['object']} is not there"]


async def test_a_name_that_is_taken_is_said_at_once(scope, store) -> None:
    daily = {"pattern": "shop_%Y%m%d.dump"}
    await obstore.put_async(store, datetime.now(UTC).strftime("shop_%Y%m%d.dump"), b"")
    with pytest.raises(TargetUnreachable, match="is taken by an object that is empty or counts as old"):
        await plan_of(scope(target=daily))


async def test_works_on_a_local_folder(scope, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    local = scope(target={"url": folder.as_uri(), "admin_options_file": None})
    [item] = (await plan_of(local)).items
    assert (await apply(local, item)).state is ItemState.APPLIED
    assert (await look_again(local, item)).clean
    assert [file.name for file in folder.iterdir()] == [item.identity["object"]]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"url": "s3://gone-bucket/db/"}, "NoSuchBucket: The specified bucket does not exist"),
        ({"url": "ftp://bucket/db/"}, "Unable to recognise URL"),
        ({"url": "file:///no/such/folder"}, "Unable to canonicalize filesystem root"),
        ({"dump": None}, "add stacks.shop.backups.nightly.dump"),
        ({"admin_options_file": "/no/such/file"}, "admin_options_file: can not read /no/such/file (No such file"),
    ],
)
async def test_what_can_not_work_is_one_clear_line(scope, target: dict[str, Any], words: str) -> None:
    with pytest.raises(TargetUnreachable) as caught:
        await plan_of(scope(target=target))
    assert str(caught.value).startswith("shop/backups/nightly: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("aws_secret_access_key: [storage-secret", "is not valid YAML"),
        ("- storage-secret", "must be a map of names to values"),
        ("aws_nonsense: storage-secret", "'aws_nonsense' is not valid for store 'S3'"),
        ("timeout: storage-secret", "failed to parse an option as Duration"),
    ],
)
async def test_options_that_can_not_work_are_one_clear_line(scope, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "options.yml").write_text(text)
    with pytest.raises(TargetUnreachable) as caught:
        await plan_of(scope())
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_a_storage_that_does_not_answer_is_one_clear_line(scope, tmp_path: Path) -> None:
    reach(tmp_path / "options.yml", "http://127.0.0.1:1")
    with pytest.raises(TargetUnreachable, match="shop/backups/nightly: Generic S3 error"):
        await plan_of(scope())


@pytest.mark.parametrize("dsn", ["mysql://a:dump-secret@b/c", "postgresql://a:dump-secret@[b/c"])
async def test_a_dump_address_that_does_not_work_is_told_without_the_password(scope, dsn: str) -> None:
    with pytest.raises(TargetUnreachable) as caught:
        await plan_of(scope({"dsn": dsn}))
    assert "dump.dsn is not an address of the form postgresql://" in str(caught.value)
    assert "dump-secret" not in str(caught.value)


async def test_a_parameter_that_libpq_has_no_variable_for_is_named(scope) -> None:
    with pytest.raises(TargetUnreachable, match="has the parameter keepalives, which libpq has no"):
        await plan_of(scope({"dsn": "postgresql://a@b/c?keepalives=1"}))
