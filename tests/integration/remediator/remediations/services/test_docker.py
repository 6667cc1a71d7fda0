"""restart_service and scale_workers on docker.

No engine runs here: a server on a real unix socket gives the documented answers of the Engine API 1.41 to 1.47.
"""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from remediator.clients.services import manager_of
from remediator.clients.services.manager import Status
from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.remediation import ItemState
from remediator.remediations import restart_service, scale_workers
from tests.integration.remediator.remediations.services.conftest import (
    SECRET,
    DockerEngine,
    ServiceScope,
    planned,
    within,
)


def service(engine: DockerEngine, **keys: Any) -> dict[str, Any]:
    return {"docker": {"project": "clientforge", "service": "frontend", "socket": str(engine.socket)}, **keys}


@pytest.fixture(autouse=True)
def quick_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (restart_service, scale_workers):
        monkeypatch.setattr(module, "OUTCOME_READINGS", 2)
        monkeypatch.setattr(module, "OUTCOME_POLL_SECONDS", 0.01)


@pytest.fixture
def quick_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.clients.services.docker.READ_SECONDS", 0.3)


@pytest.mark.parametrize("version", ["1.41", "1.44", "1.47", "1.52"])
async def test_containers_of_the_service_are_restarted_by_id_after_the_test_in_one(
    docker: DockerEngine, scope_of_service: ServiceScope, version: str
) -> None:
    docker.api_version = version
    docker.add("c1")
    docker.add("c2")
    docker.add("c3", service="backend")
    scope = scope_of_service(service(docker, config_test=["nginx", "-t"], workers={"max": 2}))
    items = await planned(scope)
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert (outcome.state, outcome.detail) == (ItemState.APPLIED, "restarted 2 instances")
    assert docker.calls == ["exec nginx -t", "restart c1", "restart c2"]
    assert (await within(scope, lambda session: session.verify(items))).clean


async def test_failed_test_in_the_container_prevents_the_restart(
    docker: DockerEngine, scope_of_service: ServiceScope
) -> None:
    docker.add("c1")
    docker.exec_code = 1
    scope = scope_of_service(service(docker, config_test=["nginx", "-t"]))
    items = await planned(scope)
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert outcome.state is ItemState.FAILED
    assert "nginx ended with 1: nginx: [emerg] unknown directive" in outcome.detail
    assert docker.calls == ["exec nginx -t"]


async def test_container_that_started_since_the_plan_is_skipped(
    docker: DockerEngine, scope_of_service: ServiceScope
) -> None:
    container = docker.add("c1")
    scope = scope_of_service(service(docker))
    items = await planned(scope)
    container.started = "2026-03-01T11:30:00Z"
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert (outcome.state, docker.calls) == (ItemState.SKIPPED, [])


async def test_crash_between_two_containers_is_an_unknown_outcome(
    docker: DockerEngine, scope_of_service: ServiceScope
) -> None:
    first, _ = docker.add("c1"), docker.add("c2")
    scope = scope_of_service(service(docker, workers={"max": 2}))
    items = await planned(scope)
    [outcome] = await within(scope, lambda session: session.resolve_outcome(items))
    assert outcome.state is ItemState.NOT_APPLIED
    first.started = "2026-03-01T11:30:00Z"
    [outcome] = await within(scope, lambda session: session.resolve_outcome(items))
    assert (outcome.state, outcome.detail.split(",")[0]) == (ItemState.UNKNOWN, "1 instances have no new start")


@pytest.mark.parametrize(
    ("status", "exit_code", "expected"),
    [
        ("running", 0, Status.RUNNING),
        ("exited", 143, Status.STOPPED),
        ("exited", 1, Status.FAILED),
        ("restarting", 1, Status.CHANGING),
        ("paused", 0, Status.STOPPED),
        ("created", 0, Status.STOPPED),
        ("a word of a later release", 0, Status.CHANGING),
    ],
)
async def test_state_of_a_container_tells_a_crash_from_a_stop(
    docker: DockerEngine, scope_of_service: ServiceScope, status: str, exit_code: int, expected: Status
) -> None:
    docker.add("c1", status=status, exit_code=exit_code)
    scope = scope_of_service(service(docker))
    assert (await manager_of("shop", scope.stack, "api").read()).status is expected


async def test_secret_of_the_container_is_nowhere_in_what_is_kept(
    docker: DockerEngine, scope_of_service: ServiceScope
) -> None:
    docker.add("c1")
    scope = scope_of_service(service(docker))
    state = await manager_of("shop", scope.stack, "api").read()
    plan = await within(scope, lambda session: session.plan())
    assert SECRET not in f"{asdict(state)} {plan}"


async def test_engine_that_refuses_the_restart_fails_the_run(
    docker: DockerEngine, scope_of_service: ServiceScope
) -> None:
    docker.add("c1")
    docker.refuses = 403
    scope = scope_of_service(service(docker))
    items = await planned(scope)
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert outcome.state is ItemState.FAILED
    assert "the engine refuses to restart the container (403)" in outcome.detail


async def test_workers_are_scaled_by_starting_and_stopping_containers_that_exist(
    docker: DockerEngine, scope_of_service: ServiceScope
) -> None:
    docker.add("c1")
    docker.add("c2", status="created")
    described = service(docker, workers={"max": 3})
    scope = scope_of_service(described)
    items = await planned(scope, "scale_workers")
    [outcome] = await within(scope, lambda session: session.apply(items), "scale_workers")
    assert (outcome.state, docker.calls) == (ItemState.APPLIED, ["start c2"])
    items = await planned(scope, "scale_workers")
    [outcome] = await within(scope, lambda session: session.apply(items), "scale_workers")
    assert (outcome.state, docker.calls) == (ItemState.FAILED, ["start c2"])
    assert "docker compose create --scale frontend=N" in outcome.detail
    down = scope_of_service(described, parameters={"direction": "down"}, trigger="operator")
    items = await planned(down, "scale_workers")
    [outcome] = await within(down, lambda session: session.apply(items), "scale_workers")
    assert docker.calls == ["start c2", "stop c2"]


async def test_service_that_does_not_exist_is_named(docker: DockerEngine, scope_of_service: ServiceScope) -> None:
    docker.add("c1", service="backend")
    with pytest.raises(TargetUnknown, match="no container of compose project 'clientforge' and service 'frontend'"):
        await planned(scope_of_service(service(docker)))
    one = {"docker": {"container": "absent", "socket": str(docker.socket)}}
    with pytest.raises(TargetUnknown, match="no container absent"):
        await planned(scope_of_service(one))


@pytest.fixture
def silent_socket(tmp_path: Path) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "docker.sock"))
        listener.listen()
        yield tmp_path / "docker.sock"


@pytest.mark.usefixtures("quick_reading")
async def test_socket_that_hangs_is_a_clear_outcome(silent_socket: Path, scope_of_service: ServiceScope) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(TargetUnreachable, match=r"no answer at .*docker.sock within 0.3 s"):
            await planned(scope_of_service({"docker": {"container": "web", "socket": str(silent_socket)}}))


async def test_absent_socket_and_an_old_engine_are_clear_outcomes(
    docker: DockerEngine, scope_of_service: ServiceScope, tmp_path: Path
) -> None:
    with pytest.raises(TargetUnreachable, match="the socket does not exist"):
        await planned(scope_of_service({"docker": {"container": "web", "socket": str(tmp_path / "none")}}))
    docker.api_version = "1.40"
    with pytest.raises(TargetUnreachable, match=r"API is 1.40, and 1.41 is needed"):
        await planned(scope_of_service(service(docker)))
