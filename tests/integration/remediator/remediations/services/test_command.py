"""restart_service and scale_workers on commands of your own, and the health that both prove."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import ItemState
from remediator.remediations import scale_workers, service_health
from tests.integration.remediator.remediations.services.conftest import ServiceScope, planned, within, write_program

STATE = '{{"state": "running", "started": "2026-03-01T11:0{number}:00Z", "pid": 7, "instances": {instances}}}\n'


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, Any]:
    """Return a service whose commands keep its state in a file."""
    (tmp_path / "state").write_text(STATE.format(number=1, instances=1))
    write_program(tmp_path / "show", f"#!/bin/sh\ncat {tmp_path}/state\n")
    write_program(
        tmp_path / "restart", f"#!/bin/sh\ncat > {tmp_path}/state <<'E'\n{STATE.format(number=2, instances=1)}E\n"
    )
    scale = f'#!/bin/sh\nsed -i "s/\\"instances\\": [0-9]*/\\"instances\\": $2/" {tmp_path}/state\n'
    write_program(tmp_path / "scale", scale)
    programs = {"state": [f"{tmp_path}/show"], "restart": [f"{tmp_path}/restart"]}
    return {"command": {**programs, "scale": [f"{tmp_path}/scale", "api", "{count}"]}}


class Api:
    """An endpoint that answers with `statuses` in turn, and then with the last of them."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.probes = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.probes += 1
        return web.Response(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Api, dict[str, Any]]]:
    """Yield an endpoint, and the section `http` that names it."""
    monkeypatch.setattr(service_health, "PROBE_INTERVAL", 0.1)
    api, app = Api(), web.Application()
    app.router.add_get("/", api.answer)
    async with TestServer(app) as server:
        yield api, {"http": {"api": {"url": str(server.make_url("/"))}}}


async def test_service_is_restarted_and_proven_by_its_probe(
    commands: dict[str, Any], api: tuple[Api, dict[str, Any]], scope_of_service: ServiceScope
) -> None:
    endpoint, stack = api
    scope = scope_of_service({**commands, "health": "api"}, stack=stack, settings={"settle": "1s"})
    items = await planned(scope)
    [outcome] = await within(scope, lambda session: session.apply(items))
    assert outcome.state is ItemState.APPLIED
    verdict = await within(scope, lambda session: session.verify(items))
    assert verdict.clean
    assert endpoint.probes > 1


async def test_probe_that_turns_bad_within_settle_is_no_proof(
    commands: dict[str, Any], api: tuple[Api, dict[str, Any]], scope_of_service: ServiceScope
) -> None:
    endpoint, stack = api
    endpoint.statuses = [200, 503]
    scope = scope_of_service({**commands, "health": "api"}, stack=stack, settings={"settle": "1s"})
    items = await planned(scope)
    await within(scope, lambda session: session.apply(items))
    verdict = await within(scope, lambda session: session.verify(items))
    assert (verdict.clean, verdict.evidence["wrong"]) == (False, "http/api: status 503, not 200")


async def test_service_that_starts_once_more_while_it_is_watched_is_no_proof(
    commands: dict[str, Any], api: tuple[Api, dict[str, Any]], scope_of_service: ServiceScope, tmp_path: Path
) -> None:
    scope = scope_of_service(commands, settings={"settle": "0s"})
    items = await planned(scope)
    counting = f"#!/bin/sh\nn=$(cat {tmp_path}/n 2>/dev/null || echo 2); echo $((n+1)) > {tmp_path}/n\n"
    write_program(
        tmp_path / "show",
        counting + 'echo "{\\"state\\": \\"running\\", \\"started\\": \\"2026-03-01T11:0$n:00Z\\"}"\n',
    )
    verdict = await within(scope, lambda session: session.verify(items))
    assert (verdict.clean, verdict.evidence["wrong"]) == (False, "it started once more while it was watched")


@pytest.mark.parametrize("remediation", ["restart_service", "scale_workers"])
async def test_plan_for_a_running_service_tells_no_fault(
    commands: dict[str, Any], scope_of_service: ServiceScope, remediation: str
) -> None:
    """The message at the end of an alert would report the service as an item that is left."""
    scope = scope_of_service({**commands, "workers": {"min": 1, "max": 4}})
    plan = await within(scope, lambda session: session.plan(), remediation)
    assert (plan.found, plan.finds_faults) == (1, False)


async def test_workers_are_scaled_by_the_command(commands: dict[str, Any], scope_of_service: ServiceScope) -> None:
    scope = scope_of_service({**commands, "workers": {"max": 3, "step": 5}})
    items = await planned(scope, "scale_workers")
    assert (items[0].identity["from"], items[0].identity["to"]) == (1, 3)
    [outcome] = await within(scope, lambda session: session.apply(items), "scale_workers")
    assert outcome.state is ItemState.APPLIED
    assert (await within(scope, lambda session: session.verify(items), "scale_workers")).clean
    [outcome] = await within(scope, lambda session: session.apply(items), "scale_workers")
    assert outcome.state is ItemState.SKIPPED  # 3 run by now


async def test_service_at_its_maximum_is_not_scaled(commands: dict[str, Any], scope_of_service: ServiceScope) -> None:
    scope = scope_of_service({**commands, "workers": {"max": 1}})
    plan = await within(scope, lambda session: session.plan(), "scale_workers")
    assert (plan.items, plan.empty_reason) == ((), "at_the_maximum")


async def test_number_that_changed_since_the_plan_is_left_alone(
    commands: dict[str, Any], scope_of_service: ServiceScope, tmp_path: Path
) -> None:
    scope = scope_of_service({**commands, "workers": {"max": 3}})
    items = await planned(scope, "scale_workers")
    (tmp_path / "state").write_text(STATE.format(number=1, instances=2))
    [outcome] = await within(scope, lambda session: session.apply(items), "scale_workers")
    assert (outcome.state, outcome.detail) == (ItemState.SKIPPED, "has 2 running instances by now")


async def test_number_after_a_crash_tells_the_outcome(
    commands: dict[str, Any], scope_of_service: ServiceScope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_workers, "OUTCOME_POLL_SECONDS", 0.01)
    scope = scope_of_service({**commands, "workers": {"max": 5, "step": 2}})
    items = await planned(scope, "scale_workers")
    for instances, expected in ((1, "not_applied"), (3, "applied"), (2, "unknown")):
        (tmp_path / "state").write_text(STATE.format(number=1, instances=instances))
        [outcome] = await within(scope, lambda session: session.resolve_outcome(items), "scale_workers")
        assert outcome.state == expected


async def test_command_that_refuses_to_scale_fails_with_what_it_wrote(
    commands: dict[str, Any], scope_of_service: ServiceScope, tmp_path: Path
) -> None:
    scope = scope_of_service({**commands, "workers": {"max": 3}})
    items = await planned(scope, "scale_workers")
    write_program(tmp_path / "scale", "#!/bin/sh\necho not allowed >&2\nexit 1\n")
    with pytest.raises(TargetUnreachable, match="not allowed"):
        await within(scope, lambda session: session.apply(items), "scale_workers")


@pytest.mark.parametrize("output", ["running", "{}", '{"state": "up"}', '{"state": "running", "started": "now"}'])
async def test_output_that_is_no_state_is_a_clear_outcome(
    commands: dict[str, Any], scope_of_service: ServiceScope, tmp_path: Path, output: str
) -> None:
    (tmp_path / "state").write_text(output)
    with pytest.raises(TargetUnreachable, match="did not print the state as one line of JSON"):
        await planned(scope_of_service(commands))


async def test_scaling_without_workers_in_the_inventory_is_a_clear_outcome(
    commands: dict[str, Any], scope_of_service: ServiceScope
) -> None:
    with pytest.raises(TargetUnreachable, match=r"add stacks.shop.services.api.workers"):
        await planned(scope_of_service(commands), "scale_workers")
