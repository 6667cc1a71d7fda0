"""The steps of run_backup on one scope, and access to the folder as another program has it."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import yaml
from obstore.store import S3Store

from remediator.model.remediation import EffectOutcome, Item, Scope
from remediator.remediations import REMEDIATIONS
from tests.integration.remediator.remediations.steps import Steps

PATTERN = "shop_%Y%m%d_%H%M%S.dump"


SECRET = "storage-secret"


remediation = REMEDIATIONS["run_backup"]
STEPS = Steps("run_backup")
open_session = STEPS.open_session
plan_of = STEPS.plan_of
verify = STEPS.verify


DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def write_options(file: Path, endpoint: str, **others: str) -> None:
    file.write_text(yaml.safe_dump({**options(endpoint), **others}))


def options(endpoint: str) -> dict[str, Any]:
    return {
        "aws_access_key_id": "remediator",
        "aws_secret_access_key": SECRET,
        "aws_region": "us-east-1",
        "aws_endpoint": endpoint,
        "aws_allow_http": True,
    }


async def apply(scope: Scope, item: Item) -> EffectOutcome:
    async with open_session(scope) as session:
        [outcome] = await session.apply([item])
        return outcome


async def resolve_outcome(scope: Scope, item: Item) -> EffectOutcome:
    async with open_session(scope) as session:
        [outcome] = await session.resolve_outcome([item])
        return outcome


def name_of(age: timedelta) -> str:
    return (datetime.now(UTC) - age).strftime(PATTERN)


async def put(store: S3Store, age: timedelta, content: bytes = b"an older dump") -> str:
    name = name_of(age)
    await obstore.put_async(store, name, content)
    return name


async def names(store: S3Store) -> list[str]:
    """List the objects in the folder, without markers."""
    return [name for name in await all_names(store) if not name.endswith(".json")]


async def all_names(store: S3Store) -> list[str]:
    return sorted(entry["path"] for entry in (await obstore.list_with_delimiter_async(store))["objects"])


async def content_of(store: S3Store, name: str) -> bytes:
    return bytes(await (await obstore.get_async(store, name)).bytes_async())


def script(folder: Path, text: str, name: str = "") -> str:
    """Write an executable script."""
    file = folder / (name or f"command-{hashlib.sha256(text.encode()).hexdigest()[:8]}")
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def wait_for_content(file: Path) -> str:
    """Return what a command has written to `file`, once the line is complete."""
    for _ in range(500):
        if (text := text_of(file)).endswith("\n"):
            return text
        await asyncio.sleep(0.02)
    raise AssertionError("the command did not start")
