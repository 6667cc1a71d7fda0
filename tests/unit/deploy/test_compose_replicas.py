"""deploy/compose/replicas.yml fits compose.yaml, which it is merged with, as far as can be checked without Docker."""

import re
from typing import Any

import yaml

from demo.paths import CHECKOUT
from remediator.settings import RemediatorSettings
from runbookd.service.settings import read_settings

BASE: dict[str, Any] = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())
FOLDER = CHECKOUT / "deploy" / "compose"
OVERRIDE: dict[str, Any] = yaml.safe_load((FOLDER / "replicas.yml").read_text())
SERVICES: dict[str, Any] = OVERRIDE["services"]
REPLICAS = [name for name in SERVICES if name.startswith("remediator")]
ALERTMANAGERS = [name for name in SERVICES if name.startswith("alertmanager")]


def config(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def test_mounted_files_configs_and_dependencies_exist() -> None:
    known = {**BASE["services"], **SERVICES}
    configs = {**BASE["configs"], **OVERRIDE["configs"]}
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source, _, rights = volume.split(":")
            assert (CHECKOUT / source).is_file(), source
            assert rights == "ro"
        assert set(service.get("configs", ())) <= set(configs)
        assert set(service.get("depends_on", ())) <= set(known)
        assert service.get("network_mode", "service:pod") == "service:pod"


def test_replicas_differ_in_their_address_only() -> None:
    settings = {name: read_settings(RemediatorSettings, SERVICES[name]["entrypoint"][1:], name) for name in REPLICAS}
    assert len(settings) == 3
    assert len({each.web.listen_address for each in settings.values()}) == 3
    assert {str(each.ledger.url_file) for each in settings.values()} == {"/ledger_url"}
    rest = [{key: value for key, value in SERVICES[name].items() if key != "entrypoint"} for name in REPLICAS]
    assert rest == [rest[0]] * 3


def test_replicas_have_the_files_of_the_single_remediator() -> None:
    assert set(BASE["services"]["remediator"]["configs"]) < set(SERVICES["remediator_2"]["configs"])


def test_ports_of_replicas_are_published_on_loopback() -> None:
    published = [*BASE["services"]["pod"]["ports"], *SERVICES["pod"]["ports"]]
    addresses = re.findall(
        r"(?:listen-address=):(\d+)", yaml.safe_dump({name: SERVICES[name] for name in (*REPLICAS, *ALERTMANAGERS)})
    )
    assert set(published) >= {f"127.0.0.1:{port}:{port}" for port in addresses}


def test_every_alertmanager_delivers_to_every_replica() -> None:
    ports = sorted(
        re.findall(r"listen-address=:(\d+)", yaml.safe_dump([SERVICES[name]["entrypoint"] for name in REPLICAS]))
    )
    receivers = {each["name"]: each["webhook_configs"] for each in config("replicas-alertmanager.yml")["receivers"]}
    assert [hook["url"] for hook in receivers["remediator"]] == [f"http://127.0.0.1:{port}/webhook" for port in ports]
    assert all(hook["send_resolved"] and hook["http_config"] for hook in receivers["remediator"])
    assert {SERVICES[name]["volumes"][0] for name in ALERTMANAGERS} == {
        "./deploy/compose/replicas-alertmanager.yml:/etc/alertmanager/alertmanager.yml:ro"
    }


def test_alertmanagers_are_peers_of_each_other() -> None:
    flags = [dict(flag.split("=", 1) for flag in SERVICES[name]["command"]) for name in ALERTMANAGERS]
    own = [each["--cluster.listen-address"] for each in flags]
    assert [each["--cluster.peer"] for each in flags] == list(reversed(own))
    assert own == [each["--cluster.advertise-address"] for each in flags]


def test_prometheus_scrapes_every_replica_and_alerts_every_alertmanager() -> None:
    prometheus = config("replicas-prometheus.yml")
    (alertmanagers,) = prometheus["alerting"]["alertmanagers"][0]["static_configs"]
    assert len(alertmanagers["targets"]) == len(ALERTMANAGERS)
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in prometheus["scrape_configs"]}
    assert len(jobs["runbook_remediator"]) == len(REPLICAS)


def test_routes_and_scrapes_equal_those_of_the_single_remediator() -> None:
    assert config("replicas-alertmanager.yml")["route"] == config("alertmanager.yml")["route"]
    assert config("replicas-prometheus.yml")["global"] == config("prometheus.yml")["global"]
    assert config("replicas-prometheus.yml")["rule_files"] == config("prometheus.yml")["rule_files"]
