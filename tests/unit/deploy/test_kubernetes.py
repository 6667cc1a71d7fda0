"""The manifests of deploy/kubernetes are valid, and fit the daemons that they start."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from demo.paths import CHECKOUT
from exporter.settings import ExporterSettings
from remediator.settings import RemediatorSettings
from runbookd.service.settings import read_settings

FOLDER = CHECKOUT / "deploy" / "kubernetes"
MANIFESTS = sorted(FOLDER.glob("*.yml"), key=str)
VERSIONS = ("1.30", "1.34")  # an old one that still runs in many places, and a new one
NOT_A_MANIFEST = FOLDER / "prometheus.yml"


def resources(kind: str | None = None) -> Iterator[Any]:
    for file in MANIFESTS:
        if file != NOT_A_MANIFEST:
            yield from (each for each in yaml.safe_load_all(file.read_text()) if kind in (None, each["kind"]))


def workload(name: str) -> Any:
    return next(each for each in resources() if "template" in each["spec"] and each["metadata"]["name"] == name)


WORKLOADS = [each for each in resources() if "template" in each["spec"]]
IDS = [each["metadata"]["name"] for each in WORKLOADS]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", list(resources()), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_manifest_is_valid(resource: Any, version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("resource", WORKLOADS, ids=IDS)
def test_pod_has_no_more_rights_than_it_needs(resource: Any) -> None:
    pod = resource["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        own = container["securityContext"]
        assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
        assert own["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("resource", WORKLOADS, ids=IDS)
def test_every_mounted_volume_and_named_file_exists(resource: Any) -> None:
    pod = resource["spec"]["template"]["spec"]
    volumes = {each["name"] for each in pod["volumes"]}
    volumes |= {each["metadata"]["name"] for each in resource["spec"].get("volumeClaimTemplates", ())}
    for container in pod["containers"]:
        mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
        assert set(mounts.values()) == volumes
        for path in re.findall(r"(?:=|^)(/[\w./]+)$", "\n".join(_arguments(container)), re.MULTILINE):
            assert any(Path(path).is_relative_to(mount) for mount in mounts), path


def _arguments(container: Any) -> list[str]:
    return [*container.get("command", ()), *container.get("args", ())]


def test_secrets_are_readable_by_the_group_of_the_pod_only() -> None:
    for resource in WORKLOADS:
        for volume in resource["spec"]["template"]["spec"]["volumes"]:
            assert "secret" not in volume or volume["secret"]["defaultMode"] == 0o440


@pytest.mark.parametrize(
    ("name", "settings"), [("runbook-remediator", RemediatorSettings), ("runbook-exporter", ExporterSettings)]
)
def test_daemon_accepts_its_flags(name: str, settings: Any) -> None:
    container = workload(name)["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == [name]
    read = read_settings(settings, container["args"], name)
    port = container["ports"][0]["containerPort"]
    assert read.web.listen_address == f":{port}"


@pytest.mark.parametrize("name", ["runbook-remediator", "runbook-exporter", "alertmanager"])
def test_probes_ask_the_pages_of_health_on_a_named_port(name: str) -> None:
    container = workload(name)["spec"]["template"]["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": "http"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": "http"}
    assert "http" in ports


@pytest.mark.parametrize(("name", "least"), [("runbook-remediator", 3), ("alertmanager", 2)])
def test_replicas_survive_the_loss_of_a_node_and_a_drain(name: str, least: int) -> None:
    spec = workload(name)["spec"]
    assert spec["replicas"] >= least
    labels = spec["template"]["metadata"]["labels"]
    (term,) = spec["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert (term["topologyKey"], term["labelSelector"]) == ("kubernetes.io/hostname", {"matchLabels": labels})
    (budget,) = [each for each in resources("PodDisruptionBudget") if each["metadata"]["name"] == name]
    assert budget["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}


def test_a_rollout_needs_no_further_node() -> None:
    assert workload("runbook-remediator")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_services_select_pods_and_their_ports() -> None:
    pods = [each["spec"]["template"] for each in WORKLOADS if each["kind"] != "Job"]
    for service in resources("Service"):
        (pod,) = [each for each in pods if each["metadata"]["labels"] == service["spec"]["selector"]]
        ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_prometheus_finds_every_service_by_its_name() -> None:
    config = yaml.safe_load(NOT_A_MANIFEST.read_text())
    found = [*config["alerting"]["alertmanagers"], *config["scrape_configs"]]
    headless = {
        (each["metadata"]["name"], each["spec"]["ports"][0]["port"])
        for each in resources("Service")
        if each["spec"].get("clusterIP") == "None"
    }
    asked = {(sd["names"][0], sd["port"]) for each in found for sd in each["dns_sd_configs"]}
    assert asked == headless


def test_peers_of_alertmanager_are_all_its_replicas() -> None:
    resource = workload("alertmanager")
    peers = re.findall(
        r"--cluster\.peer=(\S+)\.alertmanager:9094",
        "\n".join(resource["spec"]["template"]["spec"]["containers"][0]["args"]),
    )
    assert peers == [f"alertmanager-{number}" for number in range(resource["spec"]["replicas"])]
