"""Write alert_rules/boards.yml: the series by which an alert finds its panel, and the checks of the morning lists.

An alert's rule cannot know its panel; its template looks it up by the name of the series that it compares. The panels
name their alerts (`alerts=`), so a link follows from the sources of the boards alone.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from grafana.boards import BOARDS
from grafana.checks import CHECKS

RULES = Path(__file__).parents[1] / "alert_rules"
FILE = RULES / "boards.yml"

_HEAD = """\
# Written by `make dashboards` from the sources in grafana/; do not edit it. No number of a runbook is here.
#
#   runbook:panel  the panel that shows the series which an alert compares: dashboard_url of the alert leads there
#   runbook:check  the lines of the morning check; the value converts the quantity to the unit in the words
groups:
  - name: boards
    rules:
"""


def panels_of_alerts() -> Mapping[str, tuple[str, int]]:
    """Return the board and the panel of each alert that a panel names."""
    return {
        link["title"].removeprefix("Alert "): (uid, panel["id"])
        for uid, board in BOARDS.items()
        for panel in board["panels"]
        for link in panel.get("links", ())
    }


def compared_series() -> Iterator[tuple[str, str]]:
    """Yield each alert with the recorded series that it compares, whose name stays on its labels."""
    for file in sorted(RULES.glob("*.yml")):
        for rule in _rules(file):
            if found := re.match(r"(stack\w*:\w+:\w+)\s+[<>]", rule["expr"]) if "alert" in rule else None:
                yield rule["alert"], found[1]


def rules_text() -> str:
    """Return the file."""
    panels = panels_of_alerts()
    series = {name: panels[alert] for alert, name in compared_series() if alert in panels}
    lines = [
        _rule("runbook:panel", 1, series=name, board=board, panel=str(panel))
        for name, (board, panel) in sorted(series.items())
    ]
    lines += [
        _rule("runbook:check", each.scale, quantity=each.quantity, check=each.words, often=each.often)
        for each in CHECKS
    ]
    return _HEAD + "".join(lines)


def _rule(record: str, value: float, **labels: str) -> str:
    pairs = ", ".join(f"{name}: {json.dumps(text)}" for name, text in labels.items())
    return f"      - {{record: {record!r}, labels: {{{pairs}}}, expr: {value!r}}}\n"


def _rules(file: Path) -> Iterator[Mapping[str, Any]]:
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]
