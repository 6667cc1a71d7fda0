"""Storing never overwrites, and what the storage did is known; S3 is real, what it can do wrong stands in between."""

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


async def test_never_overwrites_what_appears_under_its_name(scope, store, tmp_path: Path) -> None:
    """It appears after the last look, while the dump is being made: only the storage itself can refuse then."""
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


async def test_never_overwrites_a_large_one_either(scope, store, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(backup_store, "MAX_SINGLE_PUT", 10)
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
    async with faulty_storage(bucket.server.url, damaging) as url:
        write_options(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.FAILED
    assert "read back differently, and was removed" in outcome.detail
    assert await names(store) == []


async def test_what_can_not_be_taken_back_is_for_a_person(scope, store, bucket: Any, options_file: Path) -> None:
    """moto's deletion of one object arrives before it is refused; what counts is what we say without a confirmation."""
    [item] = (await plan_of(scope())).items
    async with faulty_storage(bucket.server.url, damaging_and_keeping) as url:
        write_options(options_file, url)
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
    async with faulty_storage(bucket.server.url, losing) as url:
        write_options(options_file, url)
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
    async with faulty_storage(bucket.server.url, refusing) as url:
        write_options(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.FAILED
    assert outcome.detail.endswith("was not stored: AccessDenied: Access Denied")


async def test_works_on_a_local_folder(scope, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    local = scope(target={"url": folder.as_uri(), "admin_options_file": None})
    [item] = (await plan_of(local)).items
    assert (await apply(local, item)).state is ItemState.APPLIED
    assert (await verify(local, item)).clean
    name = item.identity["object"]
    assert sorted(file.name for file in folder.iterdir()) == [name, f"{name}.verified.json"]
