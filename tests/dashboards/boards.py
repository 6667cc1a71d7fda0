"""The queries of the committed dashboards, for tests that evaluate them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVERYTHING = {"target": ".*", "queue": ".*", "database": ".*"}
"""The variables of a board beside the stack, at All."""

FOLDER = Path(__file__).resolve().parents[2] / "grafana" / "dashboards"


@dataclass(frozen=True)
class DashboardQuery:
    """A query of a board. `key` is unique: the uid, then the ids of panel and query, or the annotation or variable.

    `instant` queries show their newest value, others the whole time range of the board.
    """

    key: str
    title: str
    expr: str
    instant: bool

    @property
    def board(self) -> str:
        return self.key.split("/")[0]

    @property
    def ref(self) -> str:
        return self.key.split("/")[2]

    @property
    def place(self) -> str:
        """Return where it is in words: board/panel/query, or board/annotation/name."""
        kind = self.key.split("/")[1]
        return self.key if kind in {"annotation", "variable"} else f"{self.board}/{self.title}/{self.ref}"


def dashboard_queries(
    stack: str = ".+", rate_interval: str = "1m", time_range: str = "5m", **chosen: str
) -> list[DashboardQuery]:
    """Return every query of every panel, annotation and variable, with the variables replaced.

    `stack` is the regular expression for the chosen stacks, `chosen` those of the other variables. Raises ValueError
    for an unknown variable, which Grafana would send to Prometheus unchanged.
    """
    values = {"stack": stack, "__rate_interval": rate_interval, "__range": time_range, **EVERYTHING, **chosen}
    return [
        DashboardQuery(query.key, query.title, fill_variables(query.expr, values), query.instant)
        for board in load_boards()
        for query in _queries_of(board)
    ]


def load_boards() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]


def data_panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the panels with data; rows are headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def fill_variables(expr: str, values: Mapping[str, str]) -> str:
    """Return the expression as Prometheus receives it; `$1` is a group of a regular expression, not a variable."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(f"unknown variable ${match[1]} in {expr}")
        return values[match[1]]

    return re.sub(r"\$\{?([a-z_]\w*)\}?", value, expr)


def _queries_of(board: Mapping[str, Any]) -> Iterator[DashboardQuery]:
    uid = board["uid"]
    for panel in data_panels(board):
        for target in panel["targets"]:
            key = f"{uid}/{panel['id']}/{target['refId']}"
            yield DashboardQuery(key, panel["title"], target["expr"], target["instant"])
    for annotation in board["annotations"]["list"]:
        yield DashboardQuery(f"{uid}/annotation/{annotation['name']}", annotation["name"], annotation["expr"], False)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield DashboardQuery(f"{uid}/variable/{variable['name']}", variable["name"], _series(variable), True)


def _series(variable: Mapping[str, Any]) -> str:
    """Translate Grafana's `label_values(series, label)` to PromQL."""
    match = re.fullmatch(r"label_values\((\w+(?:\{[^}]*\})?), (\w+)\)", variable["query"]["query"])
    assert match, f"{variable['name']} is not a label_values(series, label)"
    return f"group by ({match[2]}) ({match[1]})"
