"""What the committed dashboards ask Prometheus, for tests that ask it too."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "grafana" / "dashboards"


@dataclass(frozen=True)
class DashboardQuery:
    """One question of a board. `key` is unique: uid, then the panel's id and the query's, or what else asks.

    `instant` queries show their newest value, the others everything in the time range of the board.
    """

    key: str
    title: str
    expr: str
    instant: bool


def dashboard_queries(stack: str = ".+", rate_interval: str = "1m") -> list[DashboardQuery]:
    """Every query of every panel, annotation and variable, with the variables filled in.

    `stack` is the regular expression that Grafana makes of the chosen stacks. Raises ValueError for a variable that
    nobody fills in, which Grafana would send to Prometheus as it stands.
    """
    values = {"stack": stack, "__rate_interval": rate_interval}
    return [
        DashboardQuery(query.key, query.title, fill_variables(query.expr, values), query.instant)
        for board in load_boards()
        for query in _queries_of(board)
    ]


def load_boards() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]


def data_panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The panels that show something; rows are headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def fill_variables(expr: str, values: Mapping[str, str]) -> str:
    """The expression as Prometheus gets it."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(f"nobody fills in ${match[1]} in {expr}")
        return values[match[1]]

    return re.sub(r"\$\{?(\w+)\}?", value, expr)


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
    """`label_values(metric, label)` is Grafana's; what it asks for are the values of a label of a metric."""
    match = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert match, f"{variable['name']} is no label_values(metric, label)"
    return f"group by ({match[2]}) ({match[1]})"
