"""The metrics of services come from their managers, and hold no secret of a process."""

from pathlib import Path
from typing import Any

import pytest

from remediator.clients.services import reading
from remediator.context import Context
from remediator.ledger.address import ledger_at
from remediator.model.clock import SystemClock
from remediator.remediations import REMEDIATIONS
from remediator.server import metrics
from remediator.server.service_metrics import ServiceReadings
from runbookd.inventory import Inventory
from tests.integration.remediator.remediations.services.conftest import SECRET, DockerEngine, Pm2


def readings_of(services: dict[str, Any]) -> ServiceReadings:
    stack = {
        "http": {"api": {"url": "http://127.0.0.1/"}},
        "redis": {"main": {"url": "redis://127.0.0.1"}},
        "queues": {"jobs": {"redis": "main"}},
        "services": services,
    }
    inventory = Inventory.model_validate({"stacks": {"shop": stack}})
    return ServiceReadings(Context(inventory, ledger_at("sqlite:///none.db"), SystemClock(), REMEDIATIONS, None))


def samples(readings: ServiceReadings) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels["target"]): sample.value
        for family in readings.families()
        for sample in family.samples
    }


async def test_state_of_a_process_is_exported_without_its_environment(
    pm2: Pm2, capsys: pytest.CaptureFixture[str]
) -> None:
    pm2.start("api", "-i", "2")
    pm2.run("restart", "0")
    keys = {"health": "api", "workers": {"max": 4, "queues": "jobs"}}
    readings = readings_of({"api": {"pm2": {"name": "api", "home": str(pm2.folder)}, **keys}})
    await readings.read_all()
    seen = samples(readings)
    starts = [each["pm2_env"]["pm_uptime"] / 1000 for each in pm2.listed()]
    assert seen.pop(("service_start_time_seconds", "api")) == pytest.approx(max(starts), abs=0.01)
    assert seen == {
        ("service_up", "api"): 1,
        ("service_restarts_total", "api"): 1,
        ("service_instances", "api"): 2,
        ("service_info", "api"): 1,
    }
    [info] = [family for family in readings.families() if family.name == "service"]
    assert info.samples[0].labels == {"stack": "shop", "target": "api", "health": "api", "queues": "jobs"}
    assert SECRET not in f"{readings.__dict__} {capsys.readouterr().out}"


async def test_manager_that_does_not_answer_costs_only_its_own_service(docker: DockerEngine, tmp_path: Path) -> None:
    docker.add("c1")
    docker.add("c2", service="failed", status="exited", exit_code=1)
    compose = {"project": "clientforge", "socket": str(docker.socket)}
    readings = readings_of(
        {
            "web": {"docker": {**compose, "service": "frontend"}},
            "broken": {"docker": {**compose, "service": "failed"}},
            "gone": {"docker": {"container": "x", "socket": str(tmp_path / "none.sock")}},
        }
    )
    assert not any(name == "service_up" for name, _ in samples(readings))  # not read yet
    await readings.read_all()
    seen = samples(readings)
    assert [seen["service_up", name] for name in ("web", "broken", "gone")] == [1, 0, 0]
    assert ("service_restarts_total", "gone") not in seen


async def test_manager_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "READ_SECONDS", -0.5)
    command = {"state": ["/bin/sleep", "60"], "restart": ["/bin/true"]}
    readings = readings_of({"api": {"command": command}})
    await readings.read_all()
    assert samples(readings)["service_up", "api"] == 0


async def test_page_of_the_remediator_has_the_services(docker: DockerEngine, tmp_path: Path) -> None:
    docker.add("c1")
    readings = readings_of({"web": {"docker": {"container": "c1", "socket": str(docker.socket)}}})
    await readings.read_all()
    async with ledger_at(f"sqlite:///{tmp_path}/ledger.db").open() as ledger:
        context = Context(readings._context.inventory, ledger, SystemClock(), REMEDIATIONS, None)
        page = await metrics.collect(context, own_families=readings.families())
    assert any(family.name == "service_up" for family in page.collect())
