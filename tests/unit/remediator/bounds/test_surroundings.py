"""Bounds that only some remediations declare: required targets, deploys, migrations and backups."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.ledger import deploys
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import EngineHarness, engine_harness
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.polling import becomes

DECLARED = frozenset({"requires", "deploy", "backup_running"})
SERVICE = {"command": {"state": ["/bin/true"], "restart": ["/bin/true"]}}


@dataclass
class Api:
    """A required endpoint that a test can break."""

    status: int = 200
    url: str = ""
    probes: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.probes.append(request.path)
        return web.Response(status=self.status)


@asynccontextmanager
async def required_api() -> AsyncIterator[Api]:
    api = Api()
    app = web.Application()
    app.router.add_get("/health", api.answer)
    async with TestServer(app) as server:
        api.url = str(server.make_url("/health"))
        yield api


@asynccontextmanager
async def service_harness(folder: Path, **stack: Any) -> AsyncIterator[EngineHarness]:
    """Yield an engine whose remediation declares all three bounds, on the service `main`."""
    settings = {"mode": "auto", "settle": "0s", "verify_within": "1s"}
    shop = {"services": {"main": SERVICE}, "remediations": {"clear_folder": settings, "run_backup": settings}, **stack}
    async with engine_harness(folder, Inventory.model_validate({"stacks": {"shop": shop}})) as harness:
        remediation = replace(harness.files.remediation("services"), refused_by=DECLARED)
        harness.context.remediations = {"clear_folder": remediation}
        yield harness


async def fire(harness: EngineHarness) -> tuple[str, str]:
    harness.files.fill("a", "b")
    await harness.deliver(target="main", starts=harness.clock.now().isoformat())
    await harness.work()
    run = await harness.last_run()
    return run.state, run.reason


async def state_of(harness: EngineHarness, remediation: str) -> str | None:
    return next((str(run.state) for run in await harness.runs() if run.remediation == remediation), None)


async def begin_deploy(harness: EngineHarness, stack: str = "shop") -> None:
    async with harness.context.ledger.write() as connection:
        await deploys.begin(connection, harness.clock.now(), "oncall", stack, "v7")


@pytest.mark.parametrize(("status", "expected"), [(200, ("succeeded", "")), (503, ("refused", "requires"))])
async def test_service_is_left_alone_while_a_target_that_it_requires_is_down(
    folder: Path, status: int, expected: tuple[str, str]
) -> None:
    async with required_api() as api:
        api.status = status
        service = {**SERVICE, "requires": ["http/api"]}
        async with service_harness(folder, http={"api": {"url": api.url}}, services={"main": service}) as harness:
            assert await fire(harness) == expected
            assert bool(harness.files.touched) is (status == 200)


async def test_deploy_under_way_refuses_until_its_end_or_ten_minutes(folder: Path) -> None:
    async with service_harness(folder) as harness:
        await begin_deploy(harness)
        harness.clock.advance(minutes=9, seconds=59)
        assert await fire(harness) == ("refused", "deploy")
        run = await harness.last_run()
        assert "a deploy of v7 began" in run.evidence["bounds"]["refused_by"]["deploy"]
        harness.clock.advance(minutes=5)  # also the cooldown
        assert await fire(harness) == ("succeeded", "")


async def test_finished_deploy_or_that_of_another_stack_refuses_nothing(folder: Path) -> None:
    async with service_harness(folder) as harness:
        await begin_deploy(harness, "other")
        await begin_deploy(harness)
        async with harness.context.ledger.write() as connection:
            await deploys.end(connection, harness.clock.now(), "oncall", "shop", "v7")
        assert await fire(harness) == ("succeeded", "")


async def test_database_that_cannot_be_read_may_have_a_migration_and_a_backup(folder: Path) -> None:
    postgres = {"main": {"dsn": "postgresql://metrics@127.0.0.1:9/shop"}}
    async with service_harness(folder, postgres=postgres) as harness:
        assert await fire(harness) == ("refused", "deploy")
        refused_by = (await harness.last_run()).evidence["bounds"]["refused_by"]
    assert {"deploy", "backup_running"} <= set(refused_by)
    assert "cannot tell what is under way: shop/postgres/main: dsn:" in refused_by["backup_running"]


async def test_backup_that_the_remediator_makes_refuses_a_restart(folder: Path, tmp_path: Path) -> None:
    end_of_backup = asyncio.Event()

    async def wait() -> None:
        await end_of_backup.wait()

    backups = FolderRemediation(tmp_path / "backups", before=wait)
    backups.folder.mkdir()
    backups.fill("dump")
    async with service_harness(folder) as harness:
        backup = replace(backups.remediation("services"), name="run_backup")
        harness.context.remediations = {**harness.context.remediations, "run_backup": backup}
        await harness.deliver(remediation="run_backup", fingerprint="f2", starts=harness.clock.now().isoformat())
        await harness.engine.tick()
        await becomes(lambda: state_of(harness, "run_backup"), "executing")
        harness.files.fill("a")
        await harness.deliver(starts=harness.clock.now().isoformat())
        await harness.engine.tick()
        await becomes(lambda: state_of(harness, "clear_folder"), "refused")
        end_of_backup.set()
        await harness.work()
        runs = {run.remediation: (run.state, run.reason) for run in await harness.runs()}
    assert runs == {"run_backup": ("succeeded", ""), "clear_folder": ("refused", "backup_running")}


async def test_no_effect_begins_once_a_deploy_has_begun(folder: Path) -> None:
    async with service_harness(folder) as harness:
        harness.files.after = lambda: begin_deploy(harness)
        assert await fire(harness) == ("interrupted", "deploy")
        assert len(harness.files.touched) == 1


async def test_remediation_without_the_bounds_is_not_held_up(folder: Path) -> None:
    async with service_harness(folder) as harness:
        harness.context.remediations = {"clear_folder": harness.files.remediation("services")}
        await begin_deploy(harness)
        assert await fire(harness) == ("succeeded", "")
