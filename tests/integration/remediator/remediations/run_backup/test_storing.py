"""Storing never overwrites, and its outcome is known even if the storage fails; a proxy injects faults into real S3."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
from aiohttp import web

from remediator.clients import backup_store
from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.run_backup.faulty_storage import faulty_storage
from tests.integration.remediator.remediations.run_backup.steps import (
    apply,
    content_of,
    names,
    plan_of,
    script,
    verify,
    wait_for_content,
    write_options,
)


async def test_object_that_appears_under_the_name_is_never_overwritten(scope, store, tmp_path: Path) -> None:
    """The object appears while the dump is being made, so only the storage itself can refuse to overwrite it."""
    [item] = (await plan_of(scope())).items
    go, going = tmp_path / "go", tmp_path / "going"
    slow = script(tmp_path, f"echo > {going}; while [ ! -e {go} ]; do sleep 0.05; done; echo dump")
    running = asyncio.create_task(apply(scope({"command": [slow], "check": ["cat"]}), item))
    await wait_for_content(going)
    await obstore.put_async(store, item.identity["object"], b"somebody else's")
    go.touch()
    outcome = await running
    assert outcome.state is ItemState.FAILED
    assert "created by another process" in outcome.detail
    assert await content_of(store, item.identity["object"]) == b"somebody else's"


async def test_large_object_is_never_overwritten(scope, store, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(backup_store, "MAX_SINGLE_PUT", 10)
    [item] = (await plan_of(scope())).items
    big = script(tmp_path, "head -c 9000000 /dev/zero")
    dump = {"command": [big], "check": ["cat"]}
    assert (await apply(scope(dump), item)).state is ItemState.APPLIED
    again = replace(item, identity={**item.identity, "newest": item.identity["object"]})
    outcome = await apply(scope({**dump, "command": [script(tmp_path, "head -c 9000001 /dev/zero")]}), again)
    assert outcome.state is ItemState.FAILED
    assert len(await content_of(store, item.identity["object"])) == 9_000_000


async def test_retried_request_that_meets_its_own_object_is_applied(scope, store, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    dump = {"command": [script(tmp_path, "echo the same")], "check": ["cat"]}
    assert (await apply(scope(dump), item)).state is ItemState.APPLIED
    again = replace(item, identity={**item.identity, "newest": item.identity["object"]})
    outcome = await apply(scope(dump), again)
    assert outcome.state is ItemState.APPLIED
    assert "first answer was lost" in outcome.detail


def damaging(request: web.Request, content: bytes) -> web.Response | None:
    """Return objects with one byte changed."""
    if request.method != "GET" or "list-type" in request.query_string:
        return None
    headers = {"ETag": '"x"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
    return web.Response(body=b"X" + content[1:], headers=headers)


def damaging_and_keeping(request: web.Request, content: bytes) -> web.Response | None:
    """Return changed objects, and refuse to delete."""
    return web.Response(status=403) if request.method in ("DELETE", "POST") else damaging(request, content)


async def test_object_damaged_by_the_storage_is_removed(scope, store, bucket: Any, options_file: Path) -> None:
    [item] = (await plan_of(scope())).items
    async with faulty_storage(bucket.server.url, damaging) as url:
        write_options(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.FAILED
    assert "read back differently, and was removed" in outcome.detail
    assert await names(store) == []


async def test_damaged_object_that_cannot_be_removed_is_unknown(scope, store, bucket: Any, options_file: Path) -> None:
    """Without a confirmed deletion the outcome is unknown, although moto deletes the object before it refuses."""
    [item] = (await plan_of(scope())).items
    async with faulty_storage(bucket.server.url, damaging_and_keeping) as url:
        write_options(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.UNKNOWN
    assert outcome.detail.endswith("remove it")


async def test_lost_answer_does_not_lose_the_backup(scope, store, bucket: Any, options_file: Path) -> None:
    """The storage stores the object and answers 500; the retried request then meets the object of the first one."""
    lost: list[str] = []

    def losing(request: web.Request, _content: bytes) -> web.Response | None:
        if request.method != "PUT" or lost:
            return None
        lost.append(request.path)
        return web.Response(status=500)

    [item] = (await plan_of(scope())).items
    async with faulty_storage(bucket.server.url, losing) as url:
        write_options(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert len(lost) == 1
    assert outcome.state is ItemState.APPLIED
    assert await content_of(store, item.identity["object"]) == b"dump\n"


async def test_storage_that_refuses_the_object_fails_the_run(scope, store, bucket: Any, options_file: Path) -> None:
    def refusing(request: web.Request, _content: bytes) -> web.Response | None:
        body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        if request.method == "PUT":
            return web.Response(status=403, text=body)
        return web.Response(status=404) if item.identity["object"] in request.path else None

    [item] = (await plan_of(scope())).items
    async with faulty_storage(bucket.server.url, refusing) as url:
        write_options(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.FAILED
    assert outcome.detail.endswith("was not stored: AccessDenied: Access Denied")


async def test_backup_works_on_a_local_folder(scope, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    local = scope(target={"url": folder.as_uri(), "admin_options_file": None})
    [item] = (await plan_of(local)).items
    assert (await apply(local, item)).state is ItemState.APPLIED
    assert (await verify(local, item)).clean
    name = item.identity["object"]
    assert sorted(file.name for file in folder.iterdir()) == [name, f"{name}.verified.json"]
