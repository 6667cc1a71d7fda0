"""Unusable settings are reported in one clear line without secrets."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import obstore
import pytest

from remediator.model.errors import TargetUnreachable
from tests.integration.remediator.remediations.run_backup.steps import SECRET, plan_of, write_options


async def test_taken_name_fails_the_plan(scope, store) -> None:
    daily = {"pattern": "shop_%Y%m%d.dump"}
    await obstore.put_async(store, datetime.now(UTC).strftime("shop_%Y%m%d.dump"), b"")
    with pytest.raises(TargetUnreachable, match="is taken by an object that is empty or counts as old"):
        await plan_of(scope(target=daily))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"url": "s3://gone-bucket/db/"}, "NoSuchBucket: The specified bucket does not exist"),
        ({"url": "ftp://bucket/db/"}, "Unable to recognise URL"),
        ({"url": "file:///no/such/folder"}, "Unable to canonicalize filesystem root"),
        ({"dump": None}, "add stacks.shop.backups.nightly.dump"),
        ({"admin_options_file": "/no/such/file"}, "admin_options_file: cannot read /no/such/file (No such file"),
    ],
)
async def test_unusable_target_is_one_clear_line(scope, target: dict[str, Any], words: str) -> None:
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
async def test_unusable_options_are_one_clear_line(scope, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "options.yml").write_text(text)
    with pytest.raises(TargetUnreachable) as caught:
        await plan_of(scope())
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_silent_storage_is_one_clear_line(scope, tmp_path: Path) -> None:
    write_options(tmp_path / "options.yml", "http://127.0.0.1:1")
    with pytest.raises(TargetUnreachable, match="shop/backups/nightly: Generic S3 error"):
        await plan_of(scope())


@pytest.mark.parametrize("dsn", ["mysql://a:dump-secret@b/c", "postgresql://a:dump-secret@[b/c"])
async def test_invalid_dump_address_is_reported_without_the_password(scope, dsn: str) -> None:
    with pytest.raises(TargetUnreachable) as caught:
        await plan_of(scope({"dsn": dsn}))
    assert "dump.dsn is not an address of the form postgresql://" in str(caught.value)
    assert "dump-secret" not in str(caught.value)


async def test_parameter_without_a_libpq_variable_is_named(scope) -> None:
    with pytest.raises(TargetUnreachable, match="has the parameter keepalives, which libpq has no"):
        await plan_of(scope({"dsn": "postgresql://a@b/c?keepalives=1"}))
