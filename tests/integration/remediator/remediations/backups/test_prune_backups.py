"""prune_backups deletes what is old and spare, and never one of the newest verified backups."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from aiohttp import web
from obstore.store import S3Store

from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Item, ItemState, Scope
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import ProofKind, marker_name
from tests.integration.remediator.remediations.backups.steps import DAY, HOUR, PATTERN, BackupsFolder, name_of
from tests.integration.remediator.remediations.run_backup.faulty_storage import faulty_storage
from tests.integration.remediator.remediations.run_backup.steps import all_names, write_options
from tests.integration.remediator.remediations.steps import Steps

STEPS = Steps("prune_backups")
RETENTION = {"for": "30d", "keep": 2}


@pytest.fixture
def pruning(scope: Callable[..., Scope]) -> Scope:
    return scope({"retention": RETENTION})


@pytest.fixture
def months(folder: BackupsFolder) -> list[str]:
    """Put a verified backup of each of the last ten weeks; return their names, the newest first."""
    names = [folder.put(name_of(HOUR + 7 * DAY * week), b"a dump %d" % week) for week in range(10)]
    for name in names:
        folder.mark(name)
    return names


def object_of(item: Item) -> str:
    return str(item.identity["object"])


async def test_only_what_is_older_than_the_retention_goes_the_oldest_first(
    pruning: Scope, folder: BackupsFolder, months: list[str]
) -> None:
    plan = await STEPS.plan_of(pruning)
    assert [object_of(item) for item in plan.items] == months[:4:-1]
    assert [item.identity["size"] for item in plan.items] == [8] * 5
    assert plan.evidence["bytes"] == 40
    outcomes = await STEPS.apply(pruning, *plan.items)
    assert {outcome.state for outcome in outcomes} == {ItemState.APPLIED}
    assert (await STEPS.verify(pruning, *plan.items)).clean
    assert folder.names() == {name for kept in months[:5] for name in (kept, marker_name(kept, ProofKind.VERIFIED))}
    assert (await STEPS.plan_of(pruning)).items == ()


async def test_newest_verified_backups_stay_however_old_they_are(
    scope: Callable[..., Scope], folder: BackupsFolder, months: list[str]
) -> None:
    """Only the newest and the two oldest are proven."""
    for name in months[1:8]:
        (folder.path / marker_name(name, ProofKind.VERIFIED)).unlink()
    plan = await STEPS.plan_of(scope({"retention": {"for": "30d", "keep": 3}}))
    assert not {object_of(item) for item in plan.items} & {months[0], *months[8:]}
    assert [object_of(item) for item in plan.items] == months[7:4:-1]


@pytest.mark.parametrize(
    ("proof", "more"),
    [
        (ProofKind.VERIFIED, {"ok": False}),
        (ProofKind.VERIFIED, {"checks": ["checksum"]}),
        (ProofKind.VERIFIED, {"size": 3}),
    ],
)
async def test_marker_that_proves_nothing_does_not_count(
    scope: Callable[..., Scope], folder: BackupsFolder, months: list[str], proof: ProofKind, more: Any
) -> None:
    folder.mark(months[0], proof, **more)
    plan = await STEPS.plan_of(scope({"retention": {"for": "30d", "keep": 10}}))
    assert (plan.items, plan.empty_reason) == ((), "too_few_verified")


async def test_failed_restore_outweighs_a_verification(
    scope: Callable[..., Scope], folder: BackupsFolder, months: list[str]
) -> None:
    folder.mark(months[0], ProofKind.RESTORED, ok=False)
    plan = await STEPS.plan_of(scope({"retention": {"for": "30d", "keep": 1}}))
    assert plan.evidence["kept"] == [months[1]]


async def test_nothing_goes_while_no_recent_backup_is_verified(
    pruning: Scope, folder: BackupsFolder, months: list[str]
) -> None:
    for name in months[:5]:
        (folder.path / name).unlink()
    plan = await STEPS.plan_of(pruning)
    assert (plan.items, plan.empty_reason) == ((), "no_recent_verified")


async def test_backup_that_changed_since_the_plan_is_skipped(
    pruning: Scope, folder: BackupsFolder, months: list[str]
) -> None:
    item = (await STEPS.plan_of(pruning)).items[0]
    folder.put(object_of(item), b"a dump 9")  # the same size, written again
    os.utime(folder.path / object_of(item), ns=(1, 1))
    assert [state for state, _ in await STEPS.apply_in_words(pruning, item)] == [ItemState.SKIPPED]
    assert object_of(item) in folder.names()
    assert await STEPS.resolve_outcome(pruning, item) == [ItemState.UNKNOWN]


@pytest.mark.parametrize("loss", ["backup", "marker"])
async def test_nothing_goes_if_a_backup_that_has_to_stay_was_lost_since_the_plan(
    pruning: Scope, folder: BackupsFolder, months: list[str], loss: str
) -> None:
    item = (await STEPS.plan_of(pruning)).items[0]
    (folder.path / (months[1] if loss == "backup" else marker_name(months[1], ProofKind.VERIFIED))).unlink()
    [(state, words)] = await STEPS.apply_in_words(pruning, item)
    assert state is ItemState.SKIPPED
    assert words.endswith("so nothing is spare")
    assert object_of(item) in folder.names()


async def test_retention_that_was_raised_since_the_plan_is_respected(
    pruning: Scope, scope: Callable[..., Scope], folder: BackupsFolder, months: list[str]
) -> None:
    item = (await STEPS.plan_of(pruning)).items[0]
    for retention, words in (({"for": "90d", "keep": 2}, "younger"), ({"for": "30d", "keep": 3}, "keeps 3 verified")):
        [(state, detail)] = await STEPS.apply_in_words(scope({"retention": retention}), item)
        assert (state, words in detail) == (ItemState.SKIPPED, True)


async def test_outcome_after_a_crash_is_whether_the_object_is_there(
    pruning: Scope, folder: BackupsFolder, months: list[str]
) -> None:
    first, second, *_ = (await STEPS.plan_of(pruning)).items
    await STEPS.apply(pruning, first)
    assert await STEPS.resolve_outcome(pruning, first, second) == [ItemState.APPLIED, ItemState.NOT_APPLIED]


async def test_storage_that_refuses_to_delete_fails_the_run(
    scope_of: Any, store: S3Store, bucket: Any, tmp_path: Path
) -> None:
    def refuse(request: web.Request, _content: bytes) -> web.Response | None:
        body = "<Error><Code>AccessDenied</Code><Message>not yours</Message></Error>"
        return web.Response(status=403, text=body) if request.method in ("DELETE", "POST") else None

    refuse.before = True  # type: ignore[attr-defined]
    new, old, _ = names_like(PATTERN)
    await put_in_store(store, new, old, set())
    options = {"url": f"s3://{bucket.name}/db/", "admin_options_file": str(tmp_path / "options.yml")}
    nightly = {**options, "pattern": PATTERN, "retention": {"for": "30d", "keep": 1}}
    scope = scope_of("backups", stack={"backups": {"nightly": nightly}}, name="nightly")
    async with faulty_storage(bucket.server.url, refuse) as url:
        write_options(tmp_path / "options.yml", url)
        [item] = (await STEPS.plan_of(scope)).items
        [(state, words)] = await STEPS.apply_in_words(scope, item)
    assert (state, "AccessDenied" in words) == (ItemState.FAILED, True)
    assert old in await all_names(store)


NAMES = [
    "with space %Y%m%d.dump",
    "ü'\"$(x)`;%%20 %Y%m%d.dump",
    "-rf *?[a]~#%Y%m%d.x",
    "%%2e%%2e%Y%m%d",
]


@pytest.mark.parametrize("pattern", NAMES)
@pytest.mark.parametrize("storage", ["folder", "s3"])
async def test_exactly_the_named_object_goes_whatever_bytes_are_in_its_name(
    scope_of: Any, folder: BackupsFolder, store: S3Store, bucket: Any, tmp_path: Any, pattern: str, storage: str
) -> None:
    """Its neighbours have names that a decoding or a pattern of the storage could confuse with it."""
    write_options(tmp_path / "options.yml", bucket.server.url)
    on_s3 = {"url": f"s3://{bucket.name}/db/", "admin_options_file": str(tmp_path / "options.yml")}
    place = {"url": folder.path.as_uri()} if storage == "folder" else on_s3
    target = {**place, "pattern": pattern, "retention": {"for": "30d", "keep": 1}}
    scope = scope_of("backups", stack={"backups": {"nightly": target}}, name="nightly")
    new, old, neighbours = names_like(pattern)
    if storage == "folder":
        put_with_marker(folder, new, old, neighbours)
    else:
        await put_in_store(store, new, old, neighbours)
    plan = await STEPS.plan_of(scope)
    assert [object_of(item) for item in plan.items] == [old]
    [outcome] = await STEPS.apply(scope, *plan.items)
    assert outcome.state is ItemState.APPLIED, outcome.detail
    left = folder.names() if storage == "folder" else set(await all_names(store))
    assert left == {new, marker_name(new, ProofKind.VERIFIED), *neighbours}


def names_like(pattern: str) -> tuple[str, str, set[str]]:
    """Return the name of a new and of an old backup, and names that look like the old one."""
    now = datetime.now(UTC)
    new, old = now.strftime(pattern), (now - timedelta(days=40)).strftime(pattern)
    return new, old, {f"{old}x", f"x{old}", old.replace(" ", "+") + "y"}


def put_with_marker(folder: BackupsFolder, new: str, old: str, neighbours: set[str]) -> None:
    for name in (new, old, *neighbours):
        folder.put(name, b"a dump")
    folder.mark(new)


async def put_in_store(store: S3Store, new: str, old: str, neighbours: set[str]) -> None:
    for name in (new, old, *neighbours):
        await obstore.put_async(store, name, b"a dump")
    marker = b'{"proof": "verified", "backup": %b, "size": 6, "at": "2026-11-01T00:00:00Z", "checks": ["end"]}'
    await obstore.put_async(store, marker_name(new, ProofKind.VERIFIED), marker % json.dumps(new).encode())


async def test_name_that_is_not_text_is_left_alone(pruning: Scope, folder: BackupsFolder, months: list[str]) -> None:
    folder.put(os.fsdecode(b"shop_\xff\xfe.dump"), b"")
    folder.put("shop\n.dump", b"")
    plan = await STEPS.plan_of(pruning)
    assert len(plan.items) == 5


async def test_auto_is_refused_and_a_target_without_retention_named(scope: Callable[..., Scope]) -> None:
    assert REMEDIATIONS["prune_backups"].never_auto
    with pytest.raises(TargetUnreachable, match=r"add stacks\.shop\.backups\.nightly\.retention"):
        await STEPS.plan_of(scope({"pattern": PATTERN}))
