"""Planning, making and verifying a backup, with a real pg_dump into a real S3 server."""

import hashlib
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import obstore
import pytest

from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.run_backup.steps import (
    DAY,
    HOUR,
    PATTERN,
    apply,
    content_of,
    entries,
    name_of,
    names,
    plan_of,
    put,
    resolve_outcome,
    verify,
)
from tools.toolchain.paths import launcher


async def test_missing_backup_is_made_and_verified(scope, store, temporary: Path) -> None:
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
    verdict = await verify(scope(), item)
    assert verdict.clean
    assert verdict.evidence["wrong"] == []
    assert (await resolve_outcome(scope(), item)).state is ItemState.APPLIED
    assert (await plan_of(scope())).found == 0


async def test_operator_makes_a_backup_while_a_fresh_one_exists(scope, store) -> None:
    fresh = await put(store, HOUR)
    assert (await plan_of(scope())).found == 0
    by_hand = replace(scope(), trigger="operator")
    [item] = (await plan_of(by_hand)).items
    assert item.identity["newest"] == fresh
    assert (await apply(by_hand, item)).state is ItemState.APPLIED
    assert await names(store) == sorted([fresh, item.identity["object"]])
    assert (await verify(by_hand, item)).clean


async def test_stored_backup_restores_all_rows(scope, store, shop, dumper, tmp_path: Path) -> None:
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
async def test_backup_is_planned_if_the_newest_is_too_old(
    scope, store, age: timedelta, settings: Any, found: int
) -> None:
    await put(store, 90 * HOUR)
    await put(store, age)
    assert (await plan_of(scope(**settings))).found == found


async def test_objects_that_are_not_backups_are_ignored(scope, store) -> None:
    await put(store, HOUR, b"")
    await obstore.put_async(store, "notes.txt", b"x")
    await obstore.put_async(store, f"folder/{name_of(HOUR)}", b"x")
    [item] = (await plan_of(scope())).items
    assert item.identity["newest"] is None


async def test_names_use_the_time_zone_of_the_target(scope, store) -> None:
    zone = ZoneInfo("Asia/Tokyo")
    await obstore.put_async(store, (datetime.now(zone) - 23 * HOUR).strftime(PATTERN), b"x")
    in_zone = scope(target={"zone": "Asia/Tokyo"})
    assert (await plan_of(in_zone)).found == 0
    [item] = (await plan_of(scope(target={"zone": "Asia/Tokyo"}, older_than="22h"))).items
    at = datetime.strptime(item.identity["object"], PATTERN).replace(tzinfo=zone)
    assert abs(at - datetime.now(UTC)) < HOUR


async def test_newer_backup_since_the_plan_skips_the_run(scope, store) -> None:
    await put(store, 26 * HOUR)
    [item] = (await plan_of(scope())).items
    newer = await put(store, HOUR)
    outcome = await apply(scope(), item)
    assert outcome.state is ItemState.SKIPPED
    assert item.identity["object"] not in await names(store)
    assert newer in await names(store)


@pytest.mark.parametrize(("hours", "state"), [(1, ItemState.APPLIED), (3, ItemState.SKIPPED)])
async def test_stale_plan_is_skipped(scope, store, hours: int, state: ItemState) -> None:
    """Approval may come hours after the plan, but the name holds the time of the plan."""
    [item] = (await plan_of(scope(older_than="2h"))).items
    then = replace(item, identity={**item.identity, "object": name_of(hours * HOUR)})
    assert (await apply(scope(older_than="2h"), then)).state is state
    assert len(await names(store)) == (state is ItemState.APPLIED)


async def test_pattern_without_the_time_of_day_fails_the_plan(scope) -> None:
    with pytest.raises(TargetUnreachable, match="would count as old at once; add the time of day to the pattern"):
        await plan_of(scope(target={"pattern": "of_%Y%m%d.dump"}, older_than="1s"))


async def test_verdict_is_not_clean_while_the_newest_is_too_old(scope, store) -> None:
    await put(store, 26 * HOUR)
    assert not (await verify(scope())).clean
    await put(store, HOUR)
    assert (await verify(scope())).clean


async def test_verdict_is_not_clean_when_the_stored_backup_is_unreadable(scope, store) -> None:
    [item] = (await plan_of(scope())).items
    await apply(scope(), item)
    whole = await content_of(store, item.identity["object"])
    await obstore.put_async(store, item.identity["object"], whole[: len(whole) // 2])
    verdict = await verify(scope(), item)
    assert not verdict.clean
    assert "is not readable: " in verdict.evidence["wrong"][0]
    assert (await resolve_outcome(scope(), item)).state is ItemState.UNKNOWN


async def test_verdict_is_not_clean_when_an_older_backup_was_lost_or_changed(scope, store) -> None:
    lost, changed = await put(store, 50 * HOUR), await put(store, 26 * HOUR)
    [item] = (await plan_of(scope())).items
    await apply(scope(), item)
    await obstore.delete_async(store, lost)
    await obstore.put_async(store, changed, b"another dump!")
    verdict = await verify(scope(), item)
    assert not verdict.clean
    assert verdict.evidence["wrong"] == [f"{changed} has changed or is gone", f"{lost} has changed or is gone"]


async def test_older_backups_are_looked_up_behind_many_new_ones(scope, store) -> None:
    lost, kept = await put(store, 11 * DAY), await put(store, 10 * DAY)
    [item] = (await plan_of(scope())).items
    await apply(scope(), item)
    for hours in range(1, 20):
        await put(store, hours * HOUR)
    assert (await verify(scope(), item)).clean
    await obstore.delete_async(store, lost)
    assert (await verify(scope(), item)).evidence["wrong"] == [f"{lost} has changed or is gone"]
    assert kept in await names(store)


async def test_verdict_is_not_clean_without_a_new_backup(scope, store) -> None:
    await put(store, 26 * HOUR)
    [item] = (await plan_of(scope())).items
    verdict = await verify(scope(), item)
    assert not verdict.clean
    assert verdict.evidence["wrong"] == [f"{item.identity['object']} does not exist"]
