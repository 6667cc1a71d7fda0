"""What the pointers of docs/reference/coverage/*.yml may point at, and where a reader finds it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml

from remediator.remediations import REMEDIATIONS
from tools.docs import ROOT
from tools.docs.metrics_tables import METRICS

PEOPLE = ROOT / "docs" / "how-to" / "manual-procedures.md"

OUTSIDE: Mapping[str, str] = {
    "application": "Only the application knows it. Prometheus scrapes the application itself; no rule judges it.",
    "ci": "A check of sources, packages or images, which belongs to continuous integration.",
    "code": "A change of the application's source.",
    "document": "What the runbook says of itself: version, date, purpose.",
    "host": "The machine or the platform: its own exporter measures it, its own tools keep it up to date.",
    "load": "Load on purpose. Never something that a monitor starts.",
    "logs": "The log platform's work. Our own logs are structured so that it can read them.",
    "process": "Work of people that has no signal: product, law, finance, development.",
    "prometheus": "Prometheus or Grafana do it out of the box.",
    "release": "The release tool's work.",
    "vault": "A store of secrets, which nothing should be able to read from outside.",
}
"""Why something is none of runbookd's business."""

PLANNED: Mapping[str, str] = {
    "boards": "A board of its own for queues, and one screen for a daily health check.",
    "probes": "What the body of an endpoint's answer has to say.",
    "remediations": "Further bounded fixes; each is done by hand until it is there.",
    "schedules": "When a task, a drill or a rotation was last done, published as a time.",
}
"""What does not exist yet."""


def link(kind: str, pointer: str) -> str:
    """Return a pointer as a link for docs/reference/coverage.md.

    Raises ValueError for one that points at nothing.
    """
    address = _ADDRESSES[kind]().get(pointer)
    if address is None:
        raise ValueError(f"there is no {kind} {pointer}")
    return f"[{pointer}]({address})"


@cache
def _metrics() -> Mapping[str, str]:
    return {metric.name: f"metrics/{page}.md" for page, metrics in METRICS.items() for metric in metrics}


@cache
def _alerts() -> Mapping[str, str]:
    files = sorted((ROOT / "alert_rules").glob("*.yml"))
    return {alert: f"../../alert_rules/{file.name}" for file in files for alert in _alerts_of(file)}


def _alerts_of(file: Path) -> Iterator[str]:
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
        yield from (rule["alert"] for rule in group["rules"] if "alert" in rule)


@cache
def _panels() -> Mapping[str, str]:
    """A panel is named by its board and its title."""
    files = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
    boards = [(json.loads(file.read_text(encoding="utf-8")), file) for file in files]
    return {
        f"{board['uid']}/{panel['title']}": f"../../grafana/dashboards/{file.name}"
        for board, file in boards
        for panel in board["panels"]
        if panel["type"] != "row"
    }


@cache
def _remediations() -> Mapping[str, str]:
    return {name: f"remediations.md#{name}" for name in REMEDIATIONS}


@cache
def _people() -> Mapping[str, str]:
    """What people do has a section of its own; what reaches them, a receiver of Alertmanager."""
    headings = re.findall(r"^## (.+)$", PEOPLE.read_text(encoding="utf-8"), re.MULTILINE)
    sections = [heading.lower().replace(" ", "-") for heading in headings]
    routes = yaml.safe_load((ROOT / "deploy" / "alertmanager.yml").read_text(encoding="utf-8"))
    return {
        **{section: f"../how-to/manual-procedures.md#{section}" for section in sections},
        **{f"receiver/{receiver['name']}": "../../deploy/alertmanager.yml" for receiver in routes["receivers"]},
    }


_ADDRESSES: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "metric": _metrics,
    "alert": _alerts,
    "panel": _panels,
    "remediation": _remediations,
    "people": _people,
    "outside": lambda: dict.fromkeys(OUTSIDE, "#outside"),
    "planned": lambda: dict.fromkeys(PLANNED, "#planned"),
}
