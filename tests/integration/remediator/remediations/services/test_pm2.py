"""restart_service and scale_workers on a real pm2."""

import os
import socket
import time
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
    Pm2,
    ServiceScope,
    planned,
    within,
    write_program,
)
from tests.unit.remediator.polling import becomes


def service(pm2: Pm2, **keys: Any) -> dict[str, Any]:
    return {"pm2": {"name": "api", "home": str(pm2.folder)}, **keys}


@pytest.fixture(autouse=True)
def quick_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (restart_service, scale_workers):
        monkeypatch.setattr(module, "OUTCOME_READINGS", 3)
        monkeypatch.setattr(module, "OUTCOME_POLL_SECONDS", 0.1)


async def test_process_is_restarted_and_its_new_start_is_the_proof(pm2: Pm2, scope_of_service: ServiceScope) -> None:
    pm2.start()
    old_pid, scope = pm2.listed()[0]["pid"], scope_of_service(service(pm2), trigger="operator")
    items = await planned(scope)
    assert (await within(scope, lambda session: session.verify(items))).clean is False
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert (outcome.state, outcome.detail) == (ItemState.APPLIED, "restarted 1 instance")
    verdict = await within(scope, lambda session: session.verify(items))
    assert verdict.clean, verdict
    [resolved] = await within(scope, lambda session: session.resolve_outcome(items))
    assert resolved.state is ItemState.APPLIED
    assert pm2.listed()[0]["pid"] != old_pid


async def test_process_that_started_since_the_plan_is_skipped(pm2: Pm2, scope_of_service: ServiceScope) -> None:
    pm2.start()
    scope = scope_of_service(service(pm2), trigger="operator")
    items = await planned(scope)
    pm2.run("restart", "api")
    pid = pm2.listed()[0]["pid"]
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert outcome.state is ItemState.SKIPPED
    assert pm2.listed()[0]["pid"] == pid


async def test_crash_before_the_effect_is_looked_up_as_not_applied(pm2: Pm2, scope_of_service: ServiceScope) -> None:
    pm2.start()
    scope = scope_of_service(service(pm2), trigger="operator")
    items = await planned(scope)
    [outcome] = await within(scope, lambda session: session.resolve_outcome(items))
    assert outcome.state is ItemState.NOT_APPLIED


async def test_alert_restarts_neither_a_new_nor_a_stopped_process(pm2: Pm2, scope_of_service: ServiceScope) -> None:
    pm2.start()
    scope = scope_of_service(service(pm2), settings={"older_than": "1h"})
    plan = await within(scope, lambda session: session.plan())
    assert (plan.items, plan.empty_reason) == ((), "recently_started")
    pm2.run("stop", "api")
    plan = await within(scope, lambda session: session.plan())
    assert (plan.items, plan.empty_reason) == ((), "stopped_by_hand")
    assert len(await planned(scope_of_service(service(pm2), trigger="operator"))) == 1


async def test_process_that_pm2_gave_up_is_started_again(pm2: Pm2, scope_of_service: ServiceScope) -> None:
    pm2.start("api", "--max-restarts", "1", source="process.exit(3)\n")
    scope = scope_of_service(service(pm2))
    manager = manager_of("shop", scope.stack, "api")

    async def status() -> Status:
        return (await manager.read()).status

    await becomes(status, Status.FAILED)
    assert len(await planned(scope)) == 1


async def test_failed_test_of_the_configuration_prevents_the_restart(
    pm2: Pm2, scope_of_service: ServiceScope, tmp_path: Path
) -> None:
    pm2.start()
    pid = pm2.listed()[0]["pid"]
    check = tmp_path / "check"
    write_program(check, "#!/bin/sh\necho 'error: password=abc in line 3' >&2\nexit 2\n")
    scope = scope_of_service(service(pm2, config_test=[str(check)]), trigger="operator")
    items = await planned(scope)
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert outcome.state is ItemState.FAILED
    assert "the test of its configuration failed" in outcome.detail
    assert "abc" not in outcome.detail
    assert pm2.listed()[0]["pid"] == pid


async def test_two_processes_of_one_name_are_refused_unless_they_are_workers(
    pm2: Pm2, scope_of_service: ServiceScope
) -> None:
    pm2.start()
    pm2.start("api", "--force")
    with pytest.raises(TargetUnreachable, match=r"2 processes have its name, 1 may; set workers.max"):
        await planned(scope_of_service(service(pm2), trigger="operator"))
    scope = scope_of_service(service(pm2, workers={"max": 2}), trigger="operator")
    items = await planned(scope)
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert outcome.detail == "restarted 2 instances"


async def test_secret_of_the_environment_is_nowhere_in_what_is_kept(pm2: Pm2, scope_of_service: ServiceScope) -> None:
    pm2.start()
    assert SECRET in pm2.run("jlist")
    scope = scope_of_service(service(pm2), trigger="operator")
    state = await manager_of("shop", scope.stack, "api").read()
    plan = await within(scope, lambda session: session.plan())
    assert SECRET not in f"{asdict(state)} {plan}"
    assert set(asdict(state.processes[0])) == {"id", "status", "pid", "start", "started_at", "restarts"}


async def test_unknown_application_is_named(pm2: Pm2, scope_of_service: ServiceScope) -> None:
    pm2.start("worker")
    with pytest.raises(TargetUnknown, match="pm2 has no application 'api'"):
        await planned(scope_of_service(service(pm2)))


async def test_absent_daemon_is_not_started_by_a_reading(
    pm2: Pm2, scope_of_service: ServiceScope, tmp_path: Path
) -> None:
    home = tmp_path / "other"
    with pytest.raises(TargetUnreachable, match=r"pm2's daemon does not answer at .*: the socket does not exist"):
        await planned(scope_of_service({"pm2": {"name": "api", "home": str(home)}}))
    assert not home.exists()


@pytest.mark.parametrize("output", ["[{'name': 'api'", "nothing", '[{"name": "api", "token": "hunter2"}]'])
async def test_malformed_list_is_a_clear_outcome_without_its_text(
    output: str, scope_of_service: ServiceScope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tmp_path / "pm2", f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "rpc.sock"))
        daemon.listen()
        with pytest.raises(TargetUnreachable, match="did not print a list of processes") as caught:
            await planned(scope_of_service({"pm2": {"name": "api", "home": str(tmp_path)}}))
    assert "hunter2" not in str(caught.value)


async def test_pm2_that_hangs_is_ended_at_the_deadline(
    scope_of_service: ServiceScope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediator.clients.services.pm2.READ_SECONDS", 0.3)
    write_program(tmp_path / "pm2", "#!/bin/sh\nsleep 60\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "rpc.sock"))
        daemon.listen()
        begun = time.monotonic()
        with pytest.raises(TargetUnreachable, match="pm2 did not end within"):
            await planned(scope_of_service({"pm2": {"name": "api", "home": str(tmp_path)}}))
    assert time.monotonic() - begun < 30


async def test_workers_are_scaled_one_step_and_back_to_the_former_number(
    pm2: Pm2, scope_of_service: ServiceScope
) -> None:
    pm2.start("api", "-i", "2")
    described = service(pm2, workers={"min": 1, "max": 3, "scale_back": True})
    scope = scope_of_service(described)
    items = await planned(scope, "scale_workers")
    assert items[0].identity == {"service": "api", "from": 2, "to": 3}
    [outcome] = await within(scope, lambda session: session.apply(items), "scale_workers")
    assert outcome.detail == "scaled from 2 to 3 instances"
    assert (await within(scope, lambda session: session.verify(items), "scale_workers")).clean
    plan = await within(scope, lambda session: session.plan(), "scale_workers")
    assert (plan.items, plan.empty_reason) == ((), "at_the_maximum")
    undoing = scope_of_service(described, undoes=items, trigger="end")
    back = await planned(undoing, "scale_workers")
    assert back[0].identity == {"service": "api", "from": 3, "to": 2}
    [outcome] = await within(undoing, lambda session: session.apply(back), "scale_workers")
    assert outcome.state is ItemState.APPLIED
    assert len(pm2.listed()) == 2
    assert await planned(undoing, "scale_workers") == []
