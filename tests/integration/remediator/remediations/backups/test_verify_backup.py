"""verify_backup reads all of the newest backup, whatever made it, and claims no more than that has shown."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from aiohttp import web
from obstore.store import S3Store

from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import EffectOutcome, ItemState, Scope
from runbookd.inventory import Check, ProofKind, marker_name
from tests.integration.remediator.remediations.backups.conftest import tar_of, write_identity
from tests.integration.remediator.remediations.backups.steps import DAY, HOUR, BackupsFolder, name_of
from tests.integration.remediator.remediations.run_backup.faulty_storage import faulty_storage
from tests.integration.remediator.remediations.run_backup.steps import content_of, put, write_options
from tests.integration.remediator.remediations.steps import Steps

STEPS = Steps("verify_backup")
MODIFIED = "Sat, 21 Nov 2026 10:00:00 GMT"
FORMS = {
    "archive": {Check.END, Check.STRUCTURE},
    "archive in tar": {Check.END},
    "plain": {Check.END},
    "plain in gzip": {Check.END, Check.DECOMPRESSION},
    "files in gzip": {Check.END, Check.DECOMPRESSION},
    "encrypted archive": {Check.END, Check.STRUCTURE},
    "encrypted plain in gzip": {Check.END, Check.DECOMPRESSION},
}


async def verified(scope: Scope) -> EffectOutcome:
    """Verify for an operator, whatever was verified before."""
    scope = replace(scope, trigger="operator")
    [item] = (await STEPS.plan_of(scope)).items
    [outcome] = await STEPS.apply(scope, item)
    return outcome


@pytest.fixture
def decrypting(identity_file: Path) -> dict[str, Any]:
    return {"decrypt": {"identity_file": str(identity_file)}}


@pytest.mark.parametrize("form", FORMS)
async def test_whole_backup_of_any_form_is_verified_and_marked(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, decrypting: dict[str, Any], form: str
) -> None:
    older = folder.put(name_of(DAY), b"an older one")
    folder.put(name, dumps[form])
    local = scope(decrypting)
    [item] = (await STEPS.plan_of(local)).items
    [outcome] = await STEPS.apply(local, item)
    assert outcome.state is ItemState.APPLIED, outcome.detail
    marker = folder.marker(name)
    assert (marker.ok, marker.proves, marker.checks) == (True, True, FORMS[form])
    assert marker.sha256 == hashlib.sha256(dumps[form]).hexdigest()
    assert marker.encryption == ("age" if form.startswith("encrypted") else None)
    assert (await STEPS.verify(local, item)).clean
    assert folder.names() == {older, name, marker_name(name, ProofKind.VERIFIED)}


@pytest.mark.parametrize("form", FORMS)
async def test_backup_that_was_cut_anywhere_is_marked_as_bad(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, decrypting: dict[str, Any], form: str
) -> None:
    content = dumps[form]
    for length in (30, len(content) // 2, len(content) // 3 // 512 * 512 + 1, len(content) - 50):
        folder.put(name, content[:length])
        outcome = await verified(scope(decrypting))
        assert outcome.state is ItemState.FAILED, f"{length} of {len(content)}: {outcome.detail}"
    assert "is unusable: " in outcome.detail or "not proven" in outcome.detail
    assert (folder.marker(name).ok, folder.marker(name).proves) == (False, False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b""), "it holds nothing once it is unpacked"),
        (gzip.compress(b"--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n"), "it was cut"),
        (b"--\n-- PostgreSQL database dump\n--\n-- PostgreSQL database dump complete\nDROP TABLE x;\n", "it was cut"),
        (gzip.compress(tar_of({"a": b"a"})[:1024]), "its tar archive has no end after 1 members: it was cut"),
    ],
    ids=["nothing in gzip", "half a dump in gzip", "statements after the end", "half a tar in gzip"],
)
async def test_backup_that_only_unpacks_is_bad(
    scope, folder: BackupsFolder, name: str, content: bytes, words: str
) -> None:
    folder.put(name, content)
    outcome = await verified(scope())
    assert outcome.state is ItemState.FAILED
    assert words in outcome.detail
    assert words in str(folder.marker(name).reason)


async def test_wrong_key_fails_and_says_nothing_about_the_backup(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str, tmp_path: Path
) -> None:
    other = write_identity(tmp_path / "other", pyrage.x25519.Identity.generate())
    folder.put(name, dumps["encrypted archive"])
    outcome = await verified(scope({"decrypt": {"identity_file": str(other)}}))
    assert outcome.state is ItemState.FAILED
    assert "it is encrypted for another key than those of decrypt.identity_file" in outcome.detail
    assert folder.names() == {name}


async def test_encrypted_backup_without_a_key_proves_only_its_checksum(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    content = dumps["encrypted archive"]
    folder.put(name, content)
    unknown = await verified(scope())
    assert (unknown.state, folder.names()) == (ItemState.FAILED, {name})
    assert "it is encrypted and the inventory has no decrypt" in unknown.detail
    folder.put(f"{name}.sha256", f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode())
    [item] = (await STEPS.plan_of(scope())).items
    [outcome] = await STEPS.apply(scope(), item)
    assert outcome.state is ItemState.APPLIED
    assert (folder.marker(name).checks, folder.marker(name).proves) == ({Check.CHECKSUM}, False)
    verdict = await STEPS.verify(scope(), item)
    assert not verdict.clean
    assert "only its checksum is proven" in verdict.evidence["wrong"][0]


async def test_content_that_differs_from_what_was_stored_is_bad_for_good(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    """Another whole dump under the same name and size; a later reading must not accept it either."""
    stored = dumps["plain"]
    folder.put(name, stored)
    folder.mark(name, sha256=hashlib.sha256(stored).hexdigest(), checks=["end", "checksum"])
    folder.put(name, stored.replace(b"c4ca4238a0b923820dcc509a6f75849b", b"X" * 32))
    for _ in range(2):
        outcome = await verified(scope())
        assert outcome.state is ItemState.FAILED
        assert "its SHA-256 is" in outcome.detail
    assert folder.marker(name).ok is False


async def test_format_of_its_own_is_read_by_the_check_of_the_inventory(scope, folder: BackupsFolder, name: str) -> None:
    folder.put(name, b"a format of its own\n")
    assert "an unknown format" in (await verified(scope())).detail
    passing = {"dump": {"command": ["true"], "check": ["grep", "--quiet", "own"]}}
    assert (await verified(scope(passing))).state is ItemState.APPLIED
    failing = {"dump": {"command": ["true"], "check": ["grep", "--quiet", "other"]}}
    assert (await verified(scope(failing))).state is ItemState.FAILED


async def test_alert_verifies_a_backup_once_and_an_operator_again(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    assert (await STEPS.plan_of(scope())).empty_reason == "no_backup"
    folder.put(name, dumps["archive"])
    await verified(scope())
    again = await STEPS.plan_of(scope())
    assert (again.items, again.empty_reason) == ((), "")
    folder.mark(name, at=(datetime.now(UTC) - 2 * HOUR).isoformat())
    assert (await STEPS.plan_of(scope(older_than="1h"))).items
    folder.mark(name, ok=False)
    assert (await STEPS.plan_of(scope())).empty_reason == "known_bad"


async def test_backup_that_changed_since_the_plan_is_skipped(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    folder.put(name, dumps["archive"])
    [item] = (await STEPS.plan_of(scope())).items
    folder.put(name, dumps["plain"])
    [outcome] = await STEPS.apply(scope(), item)
    assert outcome.state is ItemState.SKIPPED
    assert folder.names() == {name}


async def test_outcome_after_a_crash_is_told_by_the_marker_of_the_run(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    folder.put(name, dumps["archive"])
    [item] = (await STEPS.plan_of(scope())).items
    folder.mark(name, run="another")
    assert await STEPS.resolve_outcome(scope(), item) == [ItemState.NOT_APPLIED]
    await STEPS.apply(scope(), item)
    assert await STEPS.resolve_outcome(scope(), item) == [ItemState.APPLIED]


async def test_backup_in_object_storage_is_verified_with_a_user_that_may_write_markers(
    scope_of, store: S3Store, bucket: Any, tmp_path: Path, dumps: Mapping[str, bytes]
) -> None:
    write_options(tmp_path / "options.yml", bucket.server.url)
    name = await put(store, timedelta(hours=1), dumps["archive"])
    nightly = {"url": f"s3://{bucket.name}/db/", "pattern": "shop_%Y%m%d_%H%M%S.dump"}
    options = {"admin_options_file": str(tmp_path / "options.yml")}
    scope = scope_of("backups", stack={"backups": {"nightly": {**nightly, **options}}}, name="nightly")
    outcome = await verified(scope)
    assert outcome.state is ItemState.APPLIED, outcome.detail
    assert b'"proof": "verified"' in await content_of(store, marker_name(name, ProofKind.VERIFIED))


async def test_backups_of_a_tool_or_in_folders_are_refused_with_the_reason(scope, tmp_path: Path) -> None:
    report = {"report": {"format": "restic", "file": str(tmp_path)}, "url": "", "pattern": ""}
    for target, words in ((report, "a backup tool keeps these backups"), ({"pattern": "%Y%m%d/"}, "is a folder")):
        with pytest.raises(TargetUnreachable, match=words):
            await STEPS.plan_of(scope(target))


async def test_answer_that_was_cut_on_its_way_makes_no_backup_look_bad(
    scope_of, store: S3Store, bucket: Any, tmp_path: Path, dumps: Mapping[str, bytes]
) -> None:
    cut: list[str] = []

    def shorten(request: web.Request, content: bytes) -> web.Response | None:
        if request.method != "GET" or not request.path.endswith(".dump") or cut:
            return None
        cut.append(request.path)
        return web.Response(body=content[:4000], headers={"ETag": '"x"', "Last-Modified": MODIFIED})

    name = await put(store, timedelta(hours=1), dumps["archive"])
    nightly = {"url": f"s3://{bucket.name}/db/", "pattern": "shop_%Y%m%d_%H%M%S.dump"}
    options = {"admin_options_file": str(tmp_path / "options.yml")}
    scope = scope_of("backups", stack={"backups": {"nightly": {**nightly, **options}}}, name="nightly")
    async with faulty_storage(bucket.server.url, shorten) as url:
        write_options(tmp_path / "options.yml", url)
        outcome = await verified(scope)
    assert (len(cut), outcome.state) == (1, ItemState.APPLIED), outcome.detail
    assert b'"ok": true' in await content_of(store, marker_name(name, ProofKind.VERIFIED))


async def test_backup_without_a_date_in_its_name_is_verified_by_that_of_the_storage(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes]
) -> None:
    folder.put("latest.dump", dumps["archive"])
    outcome = await verified(scope({"pattern": "latest.dump", "dated_by": "last_modified"}))
    assert outcome.state is ItemState.APPLIED, outcome.detail
    assert folder.marker("latest.dump").proves


async def test_folder_that_takes_no_marker_is_named(
    scope, folder: BackupsFolder, dumps: Mapping[str, bytes], name: str
) -> None:
    folder.put(name, dumps["archive"])
    (folder.path / marker_name(name, ProofKind.VERIFIED)).mkdir()
    outcome = await verified(scope())
    assert "cannot" in outcome.detail
    assert "marker" in outcome.detail
