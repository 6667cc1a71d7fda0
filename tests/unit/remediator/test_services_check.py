"""`--config.check` refuses services that are database servers, and commands that no inventory may have."""

from typing import Any, get_args

import pytest

from remediator.clients.services import MANAGERS
from remediator.services_check import NAME_KEYS, service_findings
from runbookd.inventory import Inventory, ServiceTarget, annotations_by_key
from runbookd.inventory.services import manager_names


def found(service: dict[str, Any]) -> list[tuple[str, str]]:
    inventory = Inventory.model_validate({"stacks": {"shop": {"services": {"api": service}}}})
    return [(".".join(finding.path), finding.reason) for finding in service_findings(inventory)]


def test_every_manager_of_the_inventory_has_its_code() -> None:
    assert set(MANAGERS) == set(manager_names()), "add it to MANAGERS in remediator/clients/services/__init__.py"


@pytest.mark.parametrize("manager", sorted(set(manager_names()) - {"command"}))
def test_every_manager_has_a_key_whose_name_is_checked(manager: str) -> None:
    block, _ = get_args(annotations_by_key(ServiceTarget)[manager])
    assert annotations_by_key(block).keys() & set(NAME_KEYS), "add it to NAME_KEYS in remediator/services_check.py"


@pytest.mark.parametrize(
    ("service", "key"),
    [
        ({"pm2": {"name": "redis"}}, "pm2.name"),
        ({"systemd": {"unit": "postgresql@15-main.service"}}, "systemd.unit"),
        ({"systemd": {"unit": "mysql.service"}}, "systemd.unit"),
        ({"docker": {"project": "shop", "service": "db"}}, "docker.service"),
        ({"docker": {"container": "shop-postgres-1"}}, "docker.container"),
    ],
)
def test_database_server_is_refused(service: dict[str, Any], key: str) -> None:
    [(place, reason)] = found(service)
    assert place == f"stacks.shop.services.api.{key}"
    assert "database server" in reason
    assert "never.md" in reason


@pytest.mark.parametrize(
    ("key", "arguments"),
    [
        ("restart", ["/bin/sh", "-c", "kill 1"]),
        ("state", ["/usr/bin/env", "bash", "-c", "true"]),
        ("restart", ["/usr/bin/systemctl", "restart", "redis-server"]),
    ],
)
def test_forbidden_command_is_refused(key: str, arguments: list[str]) -> None:
    commands = {"state": ["/bin/true"], "restart": ["/bin/true"], key: arguments}
    assert [place for place, _ in found({"command": commands})] == [f"stacks.shop.services.api.command.{key}"]


@pytest.mark.parametrize(
    "service",
    [
        {"pm2": {"name": "shop-api"}},
        {"systemd": {"unit": "postgres-exporter.service"}},
        {"docker": {"project": "shop", "service": "frontend"}, "config_test": ["nginx", "-t"]},
    ],
)
def test_other_services_are_accepted(service: dict[str, Any]) -> None:
    assert found(service) == []
