"""Doctor reads each service as the remediator does, and restarts nothing."""

from pathlib import Path
from typing import Any

from runbookctl.doctor import examine
from runbookd.inventory import Inventory
from tests.integration.remediator.remediations.services.conftest import DockerEngine, Systemctl


async def problems(service: dict[str, Any]) -> list[str]:
    inventory = Inventory.model_validate({"stacks": {"shop": {"services": {"api": service}}}})
    [report] = await examine(inventory, frozenset({"shop"}))
    assert report.target == "shop/services/api"
    return [finding.problem for finding in report.findings]


async def test_service_that_its_manager_shows_has_no_finding(docker: DockerEngine, systemctl: Systemctl) -> None:
    docker.add("c1")
    assert await problems({"docker": {"container": "c1", "socket": str(docker.socket)}}) == []
    assert await problems({"systemd": {"unit": "shop-api.service"}}) == []
    assert docker.calls == []
    assert not any("restart" in call for call in systemctl.calls())


async def test_missing_manager_unit_or_program_is_named(systemctl: Systemctl, tmp_path: Path) -> None:
    systemctl.write(LoadState="not-found")
    assert "no usable unit shop-api.service" in (await problems({"systemd": {"unit": "shop-api.service"}}))[0]
    [problem] = await problems({"docker": {"container": "c1", "socket": str(tmp_path / "none.sock")}})
    assert "the socket does not exist" in problem
    commands = {"state": ["/bin/true"], "restart": ["/nowhere/restart"]}
    found = await problems({"command": commands})
    assert found[0] == "there is no program /nowhere/restart"
    assert "did not print the state" in found[1]


async def test_more_processes_than_allowed_are_named(docker: DockerEngine) -> None:
    docker.add("c1")
    docker.add("c2")
    compose = {"project": "clientforge", "service": "frontend", "socket": str(docker.socket)}
    assert await problems({"docker": compose}) == ["2 processes have its name, 1 may"]
