"""The marker beside a backup claims no more than was checked, and never fails the run."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from aiohttp import web

from remediator.model.remediation import ItemState
from runbookd.inventory import Check, Marker, ProofKind, marker_name, read_marker
from tests.integration.remediator.remediations.run_backup.faulty_storage import faulty_storage
from tests.integration.remediator.remediations.run_backup.steps import (
    all_names,
    apply,
    content_of,
    names,
    plan_of,
    script,
    write_options,
)


async def marker_of(store, name: str) -> Marker:
    return read_marker(await content_of(store, marker_name(name, ProofKind.VERIFIED)))


async def test_fully_read_dump_is_marked_verified(scope, store) -> None:
    [item] = (await plan_of(scope())).items
    outcome = await apply(scope(), item)
    assert outcome.detail.endswith("its marker is written")
    name = item.identity["object"]
    content, marker = await content_of(store, name), await marker_of(store, name)
    [stored] = [entry async for page in obstore.list(store) for entry in page if entry["path"] == name]
    assert marker.backup == name
    assert (marker.ok, marker.proves) == (True, True)
    assert marker.checks == {Check.END, Check.STRUCTURE, Check.CHECKSUM}
    assert (marker.size, marker.etag) == (len(content), stored["e_tag"])
    assert marker.sha256 == hashlib.sha256(content).hexdigest()
    assert timedelta(0) <= datetime.now(UTC) - marker.at < timedelta(minutes=1)
    assert await all_names(store) == [name, marker_name(name, ProofKind.VERIFIED)]


@pytest.mark.parametrize(
    ("program", "checks"),
    [("gunzip", {Check.CHECKSUM, Check.DECOMPRESSION}), ("reader", {Check.CHECKSUM, Check.END})],
)
async def test_marker_claims_less_for_an_unpacker(scope, store, tmp_path: Path, program: str, checks: Any) -> None:
    check = script(tmp_path, "cat > /dev/null", program)
    [item] = (await plan_of(scope())).items
    await apply(scope({"command": ["echo", "dump"], "check": [check]}), item)
    marker = await marker_of(store, item.identity["object"])
    assert marker.checks == checks
    assert marker.proves == (Check.END in checks)


async def test_backup_is_valid_without_its_marker(scope, store, bucket: Any, options_file: Path) -> None:
    def refusing(request: web.Request, _content: bytes) -> web.Response | None:
        return web.Response(status=403) if "json" in request.path and request.method == "PUT" else None

    [item] = (await plan_of(scope())).items
    async with faulty_storage(bucket.server.url, refusing) as url:
        write_options(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.APPLIED
    assert "cannot write its marker" in outcome.detail
    assert await names(store) == [item.identity["object"]]


async def test_backup_that_was_not_stored_has_no_marker(scope, store) -> None:
    [item] = (await plan_of(scope())).items
    await apply(scope({"check": ["false"]}), item)
    assert await all_names(store) == []
