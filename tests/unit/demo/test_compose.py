"""compose.yaml is consistent, as far as can be checked without Docker."""

import re
from typing import Any

import pytest
import yaml

from demo.paths import CHECKOUT
from runbookd.inventory import load_inventory

COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
COMPOSE_FOLDER = CHECKOUT / "deploy" / "compose"


@pytest.mark.parametrize("service", SERVICES)
def test_mounted_files_are_in_the_checkout_and_read_only(service: str) -> None:
    for volume in SERVICES[service].get("volumes", ()):
        source, _, rights = volume.split(":")
        assert (CHECKOUT / source).exists(), source
        assert rights == "ro"


@pytest.mark.parametrize("service", SERVICES)
def test_configs_and_dependencies_exist(service: str) -> None:
    block = SERVICES[service]
    named = [config["source"] if isinstance(config, dict) else config for config in block.get("configs", ())]
    assert set(named) <= set(COMPOSE["configs"])
    assert set(block.get("depends_on", ())) <= set(SERVICES)
    assert service == "pod" or block["network_mode"] == "service:pod"


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for block in SERVICES.values() for port in block.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


# The files that each daemon opens. The remediator also opens the DSN of the dump.
OPENS = {
    "exporter": {"/postgres_metrics", "/redis_metrics", "/s3_options"},
    "remediator": {"/postgres_remediator", "/postgres_dumper", "/redis_remediator", "/s3_options", "/operator_token"},
}


def test_a_daemon_opens_every_file_of_the_inventory() -> None:
    text = (COMPOSE_FOLDER / "inventory.yml").read_text()
    assert set(re.findall(r"_file: (/\w+)", text)) == set().union(*OPENS.values())


@pytest.mark.parametrize("service", OPENS)
def test_container_of_a_daemon_has_exactly_the_files_that_it_opens(service: str) -> None:
    configs = set(SERVICES[service]["configs"])
    assert {f"/{name}" for name in configs - {"webhook_token", "operator_token"}} == OPENS[service] - {
        "/operator_token"
    }
    assert OPENS[service] <= {f"/{name}" for name in configs}


def test_inventory_loads() -> None:
    assert load_inventory(COMPOSE_FOLDER / "inventory.yml", {}) is not None


def test_intervals_and_routes_equal_those_without_docker() -> None:
    routes = [yaml.safe_load(file.read_text())["route"] for file in _files("alertmanager.yml")]
    scrapes = [yaml.safe_load(file.read_text())["global"] for file in _files("prometheus.yml")]
    assert routes[0] == routes[1]
    assert scrapes[0] == scrapes[1]


def _files(name: str) -> tuple[Any, Any]:
    return CHECKOUT / "demo" / "config" / name, COMPOSE_FOLDER / name


def test_files_contain_no_password() -> None:
    for file in (CHECKOUT / "compose.yaml", *COMPOSE_FOLDER.iterdir()):
        for secret in re.findall(r"(?:on >|://\w+:|SECRET_ACCESS_KEY: )(\S+?)(?:@| |\")", file.read_text()):
            assert secret.startswith("${RUNBOOKD_DEMO_PASSWORD"), f"{file.name}: {secret}"


def test_remediator_has_exactly_the_rights_of_production() -> None:
    production = (CHECKOUT / "deploy" / "redis" / "remediator.acl").read_text().split()
    users = COMPOSE["configs"]["redis_users"]["content"].splitlines()
    mine = [rule for rule in users[-1].split() if not rule.startswith(">")]
    assert mine == production
