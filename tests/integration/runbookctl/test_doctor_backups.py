"""Doctor reports a folder that run_backup cannot write to, or in which the storage would replace an object."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from runbookctl.doctor import backups
from runbookd.inventory import Stack
from tests.integration.remediator.remediations.run_backup.faulty_storage import faulty_storage
from tests.integration.remediator.remediations.run_backup.steps import SECRET, options

DAILY, BY_TIME = "db_%Y%m%d.dump", "db_%Y%m%d_%H%M%S.dump"


def is_conditional(request: web.Request) -> bool:
    return "If-None-Match" in request.headers


def ignores(request: web.Request, _content: bytes) -> web.Response | None:
    return web.Response(headers={"ETag": '"x"'}) if is_conditional(request) else None


def lacks(request: web.Request, _content: bytes) -> web.Response | None:
    return web.Response(status=501) if is_conditional(request) else None


def denies(request: web.Request, _content: bytes) -> web.Response | None:
    error = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    return web.Response(status=403, text=error) if request.method == "PUT" else None


def sound(_request: web.Request, _content: bytes) -> web.Response | None:
    return None


@pytest.mark.parametrize(
    ("faults", "pattern", "problem"),
    [
        (sound, DAILY, None),
        (ignores, DAILY, "the storage cannot refuse to replace an object"),
        (lacks, DAILY, "the storage cannot refuse to replace an object"),
        (ignores, BY_TIME, None),
        (denies, BY_TIME, "the remediator cannot write to the folder: AccessDenied: Access Denied"),
    ],
)
async def test_folder_of_a_dump_is_probed(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Any, pattern: str, problem: str | None
) -> None:
    monkeypatch.setattr(faults, "before", True, raising=False)
    async with faulty_storage(bucket.server.url, faults) as url:
        options_file = tmp_path / "options.yml"
        options_file.write_text(yaml.safe_dump(options(url)))
        nightly = {
            "url": f"s3://{bucket.name}/db/",
            "pattern": pattern,
            "options_file": str(options_file),
            "admin_options_file": str(options_file),
            "dump": {},
        }
        findings = await backups.check(Stack.model_validate({"backups": {"nightly": nightly}}), "nightly")
    about_writing = [each.problem for each in findings if "matches the pattern" not in each.problem]
    assert [each[: len(problem or "")] for each in about_writing] == ([problem] if problem else [])
    assert SECRET not in str(findings)


async def test_local_folder_that_this_user_cannot_write_to_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def denied(_store: Any) -> bool:  # root may write everywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(backups, "refuses_to_replace", denied)
    nightly = {"url": f"file://{tmp_path}", "pattern": DAILY, "dump": {}}
    findings = await backups.check(Stack.model_validate({"backups": {"nightly": nightly}}), "nightly")
    [finding] = [each for each in findings if "write" in each.problem]
    assert finding.problem.startswith("this user cannot write to the folder: ")
    assert "as the remediator's user" in finding.repair


async def test_folder_without_a_dump_is_not_written_to(bucket: Any, tmp_path: Path) -> None:
    requests: list[str] = []
    options_file = tmp_path / "options.yml"

    def note(request: web.Request, _content: bytes) -> None:
        requests.append(request.method)

    async with faulty_storage(bucket.server.url, note) as url:
        options_file.write_text(yaml.safe_dump(options(url)))
        nightly = {"url": f"s3://{bucket.name}/db/", "pattern": DAILY, "options_file": str(options_file)}
        await backups.check(Stack.model_validate({"backups": {"nightly": nightly}}), "nightly")
    assert set(requests) == {"GET"}
