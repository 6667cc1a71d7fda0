"""run_backup encrypts, and its marker says what was proven; folders of files and schemas are backups, too."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest
from aiohttp import web
from obstore.store import S3Store

from demo.servers.postgres import PostgresServer
from remediator.model.remediation import EffectOutcome, Item, ItemState, Scope
from runbookd.inventory import Check, ProofKind, marker_name
from tests.integration.remediator.remediations.backups.conftest import write_identity
from tests.integration.remediator.remediations.backups.steps import BackupsFolder
from tests.integration.remediator.remediations.run_backup.faulty_storage import faulty_storage
from tests.integration.remediator.remediations.run_backup.steps import content_of, write_options
from tests.integration.remediator.remediations.steps import Steps

STEPS = Steps("run_backup")
PASSED = {Check.END, Check.STRUCTURE, Check.CHECKSUM}
Dump = dict[str, Any]


@pytest.fixture
def dump(postgres_server: PostgresServer, shop: str) -> Dump:
    return {"dsn": postgres_server.dsn("postgres", shop)}


@pytest.fixture
def encrypt(identity: Any) -> dict[str, Any]:
    return {"recipients": [str(identity.to_public())]}


async def made(scope: Scope) -> tuple[Item, EffectOutcome]:
    [item] = (await STEPS.plan_of(scope)).items
    [outcome] = await STEPS.apply(scope, item)
    return item, outcome


async def test_backup_is_encrypted_and_proven_by_decrypting_it(
    scope, folder: BackupsFolder, dump: Dump, encrypt: Any, identity: Any, identity_file: Path
) -> None:
    encrypting = scope({"dump": dump, "encrypt": encrypt, "decrypt": {"identity_file": str(identity_file)}})
    item, outcome = await made(encrypting)
    assert outcome.state is ItemState.APPLIED, outcome.detail
    name = str(item.identity["object"])
    content, marker = (folder.path / name).read_bytes(), folder.marker(name)
    assert content.startswith(b"age-encryption.org/v1")
    assert pyrage.decrypt(content, [identity]).startswith(b"PGDMP")
    assert (marker.checks, marker.encryption, marker.proves) == (PASSED, "age X25519", True)
    assert (await STEPS.verify(encrypting, item)).clean


async def test_without_a_key_only_the_checksum_is_proven_and_the_marker_says_so(
    scope, folder: BackupsFolder, dump: Dump, encrypt: Any
) -> None:
    encrypting = scope({"dump": dump, "encrypt": encrypt})
    item, outcome = await made(encrypting)
    assert outcome.detail.endswith("without decrypt it proves only the checksum")
    name = str(item.identity["object"])
    assert (folder.marker(name).checks, folder.marker(name).proves) == ({Check.CHECKSUM}, False)
    assert (await STEPS.verify(encrypting, item)).clean
    folder.put(name, (folder.path / name).read_bytes()[:-1] + b"X")
    verdict = await STEPS.verify(encrypting, item)
    assert "marker" in verdict.evidence["wrong"][0]


async def test_key_that_does_not_fit_is_told_by_the_outcome(
    scope, folder: BackupsFolder, dump: Dump, encrypt: Any, tmp_path: Path
) -> None:
    other = write_identity(tmp_path / "other", pyrage.x25519.Identity.generate())
    item, outcome = await made(scope({"dump": dump, "encrypt": encrypt, "decrypt": {"identity_file": str(other)}}))
    assert "encrypted for another key" in outcome.detail
    assert folder.marker(str(item.identity["object"])).checks == {Check.CHECKSUM}


async def test_plain_dump_is_not_left_beside_the_encrypted_one(
    scope, dump: Dump, encrypt: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    await made(scope({"dump": dump, "encrypt": encrypt}))
    assert list(temporary.iterdir()) == []


async def test_storage_is_asked_to_encrypt_and_the_marker_states_it(
    scope_of: Callable[..., Scope], store: S3Store, bucket: Any, tmp_path: Path, dump: Dump
) -> None:
    asked: dict[str, str | None] = {}

    def note(request: web.Request, _content: bytes) -> None:
        if request.method == "PUT":
            asked[request.path.rpartition(".")[2]] = request.headers.get("x-amz-server-side-encryption")

    nightly = {
        "url": f"s3://{bucket.name}/db/",
        "pattern": "shop_%Y%m%d_%H%M%S.dump",
        "admin_options_file": str(tmp_path / "options.yml"),
        "dump": dump,
        "encrypt": {"storage": "AES256"},
    }
    async with faulty_storage(bucket.server.url, note) as url:
        write_options(tmp_path / "options.yml", url)
        item, outcome = await made(scope_of("backups", stack={"backups": {"nightly": nightly}}, name="nightly"))
    assert outcome.state is ItemState.APPLIED, outcome.detail
    assert asked == {"dump": "AES256", "json": "AES256"}
    marker = await content_of(store, marker_name(str(item.identity["object"]), ProofKind.VERIFIED))
    assert b'"encryption": "AES256 by the storage"' in marker


NAMES = [b"with space", b"line\nbreak", b"-rf", b"\xff\xfe", "ü%20'\"$(x)`".encode(), b"folder/*"]


def put_files(folder: Path) -> str:
    (folder / "folder").mkdir(parents=True)
    for name in NAMES:
        (folder / name.decode("utf-8", "surrogateescape")).write_bytes(name)
    return str(folder)


def names_in(archive_file: Path) -> set[bytes]:
    with tarfile.open(archive_file) as archive:
        return {member.name.removeprefix("./").encode("utf-8", "surrogateescape") for member in archive}


async def test_folder_of_files_is_backed_up_with_names_of_every_byte(
    scope, folder: BackupsFolder, tmp_path: Path
) -> None:
    local = scope(
        {"dump": {"files": put_files(tmp_path / "files")}, "kind": "files", "pattern": "files_%Y%m%d_%H%M%S.tar.gz"}
    )
    item, outcome = await made(local)
    assert outcome.state is ItemState.APPLIED, outcome.detail
    name = str(item.identity["object"])
    assert folder.marker(name).proves
    assert set(NAMES) <= names_in(folder.path / name)
    assert (await STEPS.verify(local, item)).clean


async def test_folder_that_cannot_be_read_makes_no_backup(scope, folder: BackupsFolder, tmp_path: Path) -> None:
    local = scope({"dump": {"files": str(tmp_path / "gone")}, "kind": "files", "pattern": "f_%Y%m%d_%H%M%S.tgz"})
    _, outcome = await made(local)
    assert outcome.state is ItemState.FAILED
    assert "tar ended with 2" in outcome.detail
    assert folder.names() == set()


async def test_schema_without_rows_is_a_backup_of_its_own_kind(scope, folder: BackupsFolder, dump: Dump) -> None:
    command = ["pg_dump", "--format=custom", "--no-password", "--schema-only"]
    item, outcome = await made(scope({"dump": {**dump, "command": command}, "kind": "schema"}))
    assert outcome.state is ItemState.APPLIED, outcome.detail
    assert folder.marker(str(item.identity["object"])).proves
