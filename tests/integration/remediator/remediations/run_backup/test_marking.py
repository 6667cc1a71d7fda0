"""What was proven is written beside the backup, says no more than was done, and is never the reason for a failure."""

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


async def test_a_dump_that_was_read_to_its_end_is_verified(scope, store) -> None:
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
async def test_unpacking_alone_is_not_told_as_more(scope, store, tmp_path: Path, program: str, checks: Any) -> None:
    check = script(tmp_path, "cat > /dev/null", program)
    [item] = (await plan_of(scope())).items
    await apply(scope({"command": ["echo", "dump"], "check": [check]}), item)
    marker = await marker_of(store, item.identity["object"])
    assert marker.checks == checks
    assert marker.proves == (Check.END in checks)


async def test_without_its_marker_the_backup_is_as_good(scope, store, bucket: Any, options_file: Path) -> None:
    def refusing(request: web.Request, _content: bytes) -> web.Response | None:
        return web.Response(status=403) if "json" in request.path and request.method == "PUT" else None

    [item] = (await plan_of(scope())).items
    async with faulty_storage(bucket.server.url, refusing) as url:
        write_options(options_file, url)
        outcome = await apply(scope({"command": ["echo", "dump"], "check": ["cat"]}), item)
    assert outcome.state is ItemState.APPLIED
    assert "cannot write its marker" in outcome.detail
    assert await names(store) == [item.identity["object"]]


async def test_what_was_not_stored_is_not_marked(scope, store) -> None:
    [item] = (await plan_of(scope())).items
    await apply(scope({"check": ["false"]}), item)
    assert await all_names(store) == []
