"""An incomplete dump is not stored, and a command gets no more than it needs."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.run_backup.steps import (
    HOUR,
    apply,
    content_of,
    entries,
    name_of,
    names,
    plan_of,
    put,
    resolve_outcome,
    script,
)
from tools.toolchain.paths import launcher


async def test_dump_does_not_start_without_free_space(scope, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    make_sparse(folder / name_of(26 * HOUR), 2**43)
    local = scope(target={"url": folder.as_uri(), "admin_options_file": None})
    [item] = (await plan_of(local)).items
    outcome = await apply(local, item)
    assert outcome.state is ItemState.FAILED
    assert "point TMPDIR to more space" in outcome.detail


def make_sparse(file: Path, size: int) -> None:
    with file.open("wb") as content:
        content.truncate(size)


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9, 0.999])
async def test_truncated_dump_is_not_stored(scope, store, shop, tmp_path: Path, kept: float) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(dump_of(shop))
    cut = script(tmp_path, f"head -c {int(whole.stat().st_size * kept)} {whole}")
    [item] = (await plan_of(scope())).items
    outcome = await apply(scope({"command": [cut]}), item)
    assert outcome.state is ItemState.FAILED
    assert "pg_restore ended with 1: pg_restore: error:" in outcome.detail
    assert await names(store) == []


def dump_of(shop: Any) -> bytes:
    command = [launcher("pg_dump"), "--format=custom", shop.dsn("dumper")]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("dump", "words"),
    [
        ({"command": ["false"]}, "false ended with 1"),
        ({"command": ["true"]}, "true wrote nothing to its standard output"),
        ({"command": ["no-such-program"]}, "cannot start no-such-program: No such file or directory"),
        ({"command": ["sleep", "60"], "timeout": "1s"}, "took over 1s; raise dump.timeout"),
        ({"check": ["false"]}, "false ended with 1"),
        ({"check": ["sleep", "60"], "timeout": "2s"}, "took over 2s; raise dump.timeout"),
        ({"command": ["sh", "-c", "echo half; kill -9 $$"]}, "sh was killed by signal 9"),
    ],
)
async def test_failed_dump_leaves_nothing_behind(
    scope, store, temporary: Path, dump: dict[str, Any], words: str
) -> None:
    older = await put(store, 26 * HOUR)
    [item] = (await plan_of(scope())).items
    outcome = await apply(scope(dump), item)
    assert outcome.state is ItemState.FAILED
    assert words in outcome.detail
    assert await names(store) == [older]
    assert entries(temporary) == []
    assert (await resolve_outcome(scope(), item)).state is ItemState.NOT_APPLIED


async def test_wrong_password_is_reported_without_quoting_it(scope, shop, store) -> None:
    [item] = (await plan_of(scope())).items
    dsn = shop.dsn("dumper").replace(shop.dsn("dumper").split(":")[2].split("@")[0], "wrong-secret")
    outcome = await apply(scope({"dsn": dsn}), item)
    assert outcome.state is ItemState.FAILED
    assert 'password authentication failed for user "dumper"' in outcome.detail
    assert "wrong-secret" not in outcome.detail
    assert await names(store) == []


async def test_error_of_another_server_version_names_both_versions(scope, postgres16, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    outcome = await apply(scope({"dsn": postgres16.dsn()}), item)
    assert outcome.state is ItemState.FAILED
    assert "pg_dump: error: aborting because of server version mismatch; pg_dump: detail: server version: 16." in (
        outcome.detail
    )
    assert "pg_dump version: 15." in outcome.detail


@pytest.mark.parametrize(
    ("stderr", "explanation"),
    [
        ("working\nerror: no\nhint: ask", "error: no; hint: ask"),
        ("error: first\nworking\nbackup.sh: error 1", "error: first; working; backup.sh: error 1"),
        ("error: no\n" + "at here\n" * 9, "error: no; at here; at here; at here"),
        ("working\nno space left on device", "no space left on device"),
        ("error: postgresql://a:p%2Fss@h/b refused", "error: postgresql://<credentials>@h/b refused"),
        ("error: password=p/ss, PGPASSWORD: p/ss", "error: password=<secret> PGPASSWORD: <secret>"),
    ],
)
async def test_error_keeps_the_lines_that_explain_it(scope, tmp_path: Path, stderr: str, explanation: str) -> None:
    [item] = (await plan_of(scope())).items
    (tmp_path / "stderr").write_text(stderr)
    telling = script(tmp_path, f"cat {tmp_path}/stderr >&2; exit 3")
    outcome = await apply(scope({"command": [telling], "dsn": "postgresql://a:p%2Fss@127.0.0.1/b"}), item)
    assert outcome.detail.endswith(f"ended with 3: {explanation}")


async def test_password_in_the_commands_error_is_masked(scope, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    telling = script(tmp_path, 'echo "error: $PGPASSWORD" >&2; exit 3')
    outcome = await apply(scope({"command": [telling], "dsn": "postgresql://a:sesame@127.0.0.1/b"}), item)
    assert outcome.detail.endswith("ended with 3: error: ***")


async def test_command_gets_only_path_and_login(scope, store, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leaked")
    dsn = "postgresql://b%40b:p%2Fw@[::1]:5433,db2/shop?sslmode=require&schema=public&connect_timeout=3"
    [item] = (await plan_of(scope())).items
    assert (await apply(scope({"command": ["env"], "check": ["cat"], "dsn": dsn}), item)).state is ItemState.APPLIED
    seen = dict(line.split("=", 1) for line in (await content_of(store, item.identity["object"])).decode().splitlines())
    assert seen == {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "PGUSER": "b@b",
        "PGPASSWORD": "p/w",
        "PGHOST": "::1,db2",
        "PGPORT": "5433,",
        "PGDATABASE": "shop",
        "PGSSLMODE": "require",
        "PGCONNECT_TIMEOUT": "3",
    }


async def test_dump_on_disk_is_private(scope, temporary: Path, tmp_path: Path) -> None:
    [item] = (await plan_of(scope())).items
    check = script(tmp_path, f"stat -c %a {temporary}/* {temporary}/*/* > {tmp_path}/modes; cat > /dev/null")
    assert (await apply(scope({"command": ["echo", "dump"], "check": [check]}), item)).state is ItemState.APPLIED
    assert (tmp_path / "modes").read_text().split() == ["700", "600"]
