"""The reasons of queries and panels without data in the demo; any other empty query is a fault."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from tests.dashboards.boards import DashboardQuery

ROOT = Path(__file__).resolve().parents[2]
NO_LIMIT = "The demo's thresholds have no number for it."


def reason_to_be_empty(query: DashboardQuery) -> str:
    """Return why the query has no data in the demo, or nothing if it has to have some."""
    if query.ref == "LIMIT" and not _limited(query.expr):
        return NO_LIMIT
    of_panel = panels_that_may_be_empty().get(f"{query.board}/{query.title}", "")
    return of_panel or always_empty().get(query.place, "") or always_empty().get(f"*{_rest(query.place)}", "")


@cache
def always_empty() -> Mapping[str, str]:
    """Return the queries that have no data in the demo, by board/panel/query; `*` is any board."""
    return _read(Path(__file__).with_suffix(".yml"))


@cache
def panels_that_may_be_empty() -> Mapping[str, str]:
    """Return the panels that may be empty in the demo, by board/panel."""
    return _read(ROOT / "grafana" / "empty_panels.yml")


def _limited(expr: str) -> bool:
    numbers = (ROOT / "demo" / "config" / "thresholds.yml").read_text(encoding="utf-8")
    names = re.search(r'__name__=~"(runbook:[^"]+)"', expr)
    return names is not None and any(re.fullmatch(names[1], name) for name in re.findall(r"runbook:[\w:]+", numbers))


def _rest(place: str) -> str:
    return place[place.index("/") :]


def _read(file: Path) -> Mapping[str, str]:
    reasons: Mapping[str, str] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return reasons
