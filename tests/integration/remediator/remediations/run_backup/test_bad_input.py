"""Unusable settings are reported in one clear line without secrets."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import obstore
import pytest

from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Item, ItemState, Scope
from tests.integration.remediator.remediations.run_backup.steps import (
    HOUR,
    SECRET,
    apply,
    entries,
    name_of,
    plan_of,
    write_options,
)


async def test_taken_name_fails_the_plan(scope, store) -> None:
    daily = {"pattern": "shop_%Y%m%d.dump"}
    await obstore.put_async(store, datetime.now(UTC).strftime("shop_%Y%m%d.dump"), b"")
    with pytest.raises(TargetUnreachable, match="is taken by a backup, or by an object that is empty or counts as old"):
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
    assert "dump.dsn: not an address; write it as postgresql://" in str(caught.value)
    assert "dump-secret" not in str(caught.value)


async def test_every_parameter_of_libpq_reaches_the_command(scope, shop, temporary: Path) -> None:
    """Those without a variable are in a service file, which is gone afterwards."""
    query = "keepalives=1&tcp_user_timeout=9000&ssl_min_protocol_version=TLSv1.2&sslmode=prefer&schema=public"
    bad = await _apply_planned(scope({"dsn": f"{shop.dsn('dumper')}?keepalives=no"}), ItemState.FAILED)
    assert 'invalid integer value "no" for connection option "keepalives"' in bad
    await _apply_planned(scope({"dsn": f"{shop.dsn('dumper')}?{query}"}), ItemState.APPLIED)
    assert entries(temporary) == []


async def _apply_planned(scope: Scope, state: ItemState) -> str:
    """Apply a new backup beside those of the test, and return its detail."""
    outcome = await apply(scope, Item({"object": name_of(HOUR), "newest": None}))
    assert outcome.state is state, outcome
    return outcome.detail


async def test_address_with_a_service_and_other_parameters_is_refused(scope) -> None:
    with pytest.raises(TargetUnreachable, match="write keepalives into the service file"):
        await plan_of(scope({"dsn": "postgresql://a@b/c?keepalives=1&service=shop"}))
