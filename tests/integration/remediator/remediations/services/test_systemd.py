"""restart_service on systemd.

No systemd runs here: a program `systemctl` on PATH prints what `systemctl show` prints, and its restart changes that.
"""

import os
from typing import Any

import pytest

from remediator.clients.services import manager_of
from remediator.clients.services.manager import Status
from remediator.model.errors import TargetUnknown
from remediator.model.remediation import ItemState
from remediator.remediations import restart_service
from tests.integration.remediator.remediations.services.conftest import (
    ServiceScope,
    Systemctl,
    planned,
    within,
    write_program,
)

SERVICE: dict[str, Any] = {"systemd": {"unit": "shop-api.service"}}


@pytest.fixture(autouse=True)
def quick_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart_service, "OUTCOME_READINGS", 2)
    monkeypatch.setattr(restart_service, "OUTCOME_POLL_SECONDS", 0.01)


async def test_unit_is_restarted_and_its_new_invocation_is_the_proof(
    systemctl: Systemctl, scope_of_service: ServiceScope
) -> None:
    scope = scope_of_service(SERVICE)
    items = await planned(scope)
    assert items[0].identity == {"service": "api", "starts": "shop-api.service@old"}
    assert items[0].evidence["pids"] == [900]
    assert items[0].evidence["restarts"] == 3
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert outcome.state is ItemState.APPLIED
    assert systemctl.calls()[-1] == "--no-ask-password restart -- shop-api.service"
    verdict = await within(scope, lambda session: session.verify(items))
    assert (verdict.clean, verdict.evidence["health"]) == (True, "no probe is set")


async def test_unit_that_started_since_the_plan_is_skipped(
    systemctl: Systemctl, scope_of_service: ServiceScope
) -> None:
    scope = scope_of_service(SERVICE)
    items = await planned(scope)
    systemctl.write(InvocationID="another")
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert outcome.state is ItemState.SKIPPED
    assert not any("restart" in call for call in systemctl.calls())


@pytest.mark.parametrize(
    ("properties", "state"),
    [
        ({"InvocationID": "new"}, ItemState.APPLIED),
        ({}, ItemState.NOT_APPLIED),
        ({"Job": "1234"}, ItemState.UNKNOWN),
        ({"ActiveState": "deactivating"}, ItemState.UNKNOWN),
    ],
)
async def test_outcome_after_a_crash_is_read_from_the_unit(
    systemctl: Systemctl, scope_of_service: ServiceScope, properties: dict[str, str], state: ItemState
) -> None:
    scope = scope_of_service(SERVICE)
    items = await planned(scope)
    systemctl.write(**properties)
    [outcome] = await within(scope, lambda session: session.resolve_outcome(items))
    assert outcome.state is state


@pytest.mark.parametrize(
    ("active", "expected", "reason"),
    [
        ("inactive", Status.STOPPED, "stopped_by_hand"),
        ("activating", Status.CHANGING, "restarts_itself"),
        ("failed", Status.FAILED, ""),
        ("active", Status.RUNNING, ""),
    ],
)
async def test_alert_restarts_a_unit_that_runs_or_failed(
    systemctl: Systemctl, scope_of_service: ServiceScope, active: str, expected: Status, reason: str
) -> None:
    systemctl.write(ActiveState=active)
    scope = scope_of_service(SERVICE)
    assert (await manager_of("shop", scope.stack, "api").read()).status is expected
    plan = await within(scope, lambda session: session.plan())
    assert (plan.found, plan.empty_reason) == (0 if reason else 1, reason)


@pytest.mark.parametrize(
    ("sudo", "error"),
    [
        (False, "Failed to restart shop-api.service: Interactive authentication required."),
        (False, "Failed to restart shop-api.service: Access denied"),
        (True, "sudo: a password is required"),
    ],
)
async def test_unit_without_rights_fails_and_names_the_files_that_give_them(
    systemctl: Systemctl, scope_of_service: ServiceScope, sudo: bool, error: str
) -> None:
    write_program(systemctl.folder / "on-restart", f"#!/bin/sh\necho '{error}' >&2\nexit 1\n")
    write_program(systemctl.folder / "sudo", '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n')
    scope = scope_of_service({"systemd": {"unit": "shop-api.service", "sudo": sudo}})
    items = await planned(scope)
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert outcome.state is ItemState.FAILED
    assert "this user may not restart shop-api.service; install deploy/systemd/" in outcome.detail


async def test_unit_that_fails_to_start_is_looked_up_and_not_taken_for_a_refusal(
    systemctl: Systemctl, scope_of_service: ServiceScope
) -> None:
    script = "#!/bin/sh\nsed -i -e 's/InvocationID=.*/InvocationID=new/' -e 's/ActiveState=.*/ActiveState=failed/'"
    write_program(systemctl.folder / "on-restart", f"{script} properties\necho 'Job failed.' >&2\nexit 1\n")
    scope = scope_of_service(SERVICE)
    items = await planned(scope)
    with pytest.raises(Exception, match="systemctl restart ended with 1: Job failed"):
        await within(scope, lambda session: session.apply(items))
    [outcome] = await within(scope, lambda session: session.resolve_outcome(items))
    assert outcome.state is ItemState.APPLIED
    verdict = await within(scope, lambda session: session.verify(items))
    assert (verdict.clean, verdict.evidence["wrong"]) == (False, "the service is failed")


async def test_unit_that_does_not_exist_is_named(systemctl: Systemctl, scope_of_service: ServiceScope) -> None:
    systemctl.write(LoadState="not-found")
    with pytest.raises(TargetUnknown, match=r"no usable unit shop-api.service \(not-found\)"):
        await planned(scope_of_service(SERVICE))


async def test_nothing_of_our_environment_reaches_the_program(
    systemctl: Systemctl, scope_of_service: ServiceScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_TOKEN", "hunter2")
    write_program(systemctl.folder / "on-restart", "#!/bin/sh\nenv > environment\n")
    scope = scope_of_service(SERVICE)
    items = await planned(scope)
    await within(scope, lambda session: session.apply(items))
    names = {line.split("=")[0] for line in (systemctl.folder / "environment").read_text().splitlines()}
    assert names - {"PWD", "OLDPWD", "_", "SHLVL"} == {"PATH", "LC_ALL"}
    assert "WEBHOOK_TOKEN" in os.environ
