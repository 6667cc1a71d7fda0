"""Resolve the pointers of docs/reference/coverage/*.yml to links."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from remediator.remediations import REMEDIATIONS
from runbookd.yaml_text import load_yaml
from tools.docs import ROOT
from tools.docs.boards_page import anchor
from tools.docs.metrics_tables import METRICS

PEOPLE = ROOT / "docs" / "how-to" / "manual-procedures.md"

OUTSIDE: Mapping[str, str] = {
    "application": "Only the application knows it. Prometheus scrapes the application, but no rule evaluates it.",
    "ci": "A check of sources, packages or images; continuous integration does it.",
    "code": "A change of the application's source.",
    "document": "Facts about the runbook itself: version, date, purpose.",
    "host": "The machine or the platform: another exporter measures it, other tools keep it up to date.",
    "load": "Load tests. A monitor never starts them.",
    "logs": "The log platform does it. Our logs are structured so that it can read them.",
    "process": "Work without a signal: product, law, finance, development.",
    "prometheus": "Prometheus or Grafana do it out of the box.",
    "release": "The release tool does it.",
    "vault": "A store of secrets, which no outside tool should read.",
}
"""Reasons why a row is outside of runbookd."""


def link(kind: str, pointer: str) -> str:
    """Return a pointer as a link for docs/reference/coverage.md.

    Raises ValueError if it points at nothing.
    """
    address = _ADDRESSES[kind]().get(pointer)
    if address is None:
        raise ValueError(f"no {kind} is named {pointer}; fix the pointer in docs/reference/coverage/")
    return f"[{pointer}]({address})"


@cache
def _metrics() -> Mapping[str, str]:
    return {metric.name: f"metrics/{page}.md" for page, metrics in METRICS.items() for metric in metrics}


@cache
def _alerts() -> Mapping[str, str]:
    files = sorted((ROOT / "alert_rules").glob("*.yml"))
    return {alert: f"../../alert_rules/{file.name}" for file in files for alert in _alerts_of(file)}


def _alerts_of(file: Path) -> Iterator[str]:
    for group in load_yaml(file.read_text(encoding="utf-8"))["groups"]:
        yield from (rule["alert"] for rule in group["rules"] if "alert" in rule)


@cache
def _panels() -> Mapping[str, str]:
    """Return the panels, named by board and title; the link leads to the board in the reference."""
    files = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
    boards = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {
        f"{board['uid']}/{panel['title']}": f"boards.md#{anchor(board)}"
        for board in boards
        for panel in board["panels"]
        if panel["type"] != "row"
    }


@cache
def _remediations() -> Mapping[str, str]:
    return {name: f"remediations.md#{name}" for name in REMEDIATIONS}


@cache
def _people() -> Mapping[str, str]:
    """Return the sections of the manual procedures, a how-to, and the receivers of each runbook's Alertmanager."""
    headings = re.findall(r"^## (.+)$", PEOPLE.read_text(encoding="utf-8"), re.MULTILINE)
    sections = [heading.lower().replace(" ", "-") for heading in headings]
    return {
        **{section: f"../how-to/manual-procedures.md#{section}" for section in sections},
        "acknowledge-an-alert": "../how-to/acknowledge-an-alert.md",
        "add-queries": "../how-to/add-queries.md",
        "write-an-incident-report": "../how-to/write-an-incident-report.md",
        **_receivers(),
    }


@cache
def _duties() -> Mapping[str, str]:
    """Return the duties of the runbooks' sets as STACK/NAME."""
    return {f"{stack}/{name}": place for stack, place, settings in _sets() for name in settings.get("duties", {})}


@cache
def _windows() -> Mapping[str, str]:
    """Return the windows of the runbooks' sets as STACK/NAME, and their announcements below that."""
    windows = [
        (f"{stack}/{name}", place, window)
        for stack, place, settings in _sets()
        for name, window in settings.get("windows", {}).items()
    ]
    announced = [
        (f"{name}/{each}", place) for name, place, window in windows for each in window.get("announcements", {})
    ]
    return {**{name: place for name, place, _ in windows}, **dict(announced)}


def _sets() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the stack of each runbook's set, the link to it, and its settings."""
    for file in sorted((ROOT / "deploy" / "runbooks").glob("*/inventory.yml")):
        stack = file.parent.name
        yield (
            stack,
            f"../../{file.relative_to(ROOT)}",
            load_yaml(file.read_text(encoding="utf-8"))["stacks"][stack],
        )


def _receivers() -> Mapping[str, str]:
    """Return the receivers as receiver/STACK/NAME."""
    files = sorted((ROOT / "deploy" / "runbooks").glob("*/alertmanager.yml"))
    return {
        f"receiver/{file.parent.name}/{receiver['name']}": f"../../{file.relative_to(ROOT)}"
        for file in files
        for receiver in load_yaml(file.read_text(encoding="utf-8"))["receivers"]
    }


_ADDRESSES: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "metric": _metrics,
    "alert": _alerts,
    "panel": _panels,
    "remediation": _remediations,
    "duty": _duties,
    "window": _windows,
    "people": _people,
    "outside": lambda: dict.fromkeys(OUTSIDE, "#outside"),
}
