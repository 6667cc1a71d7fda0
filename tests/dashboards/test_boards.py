"""The committed boards match their sources, and each panel describes itself.

Grafana does not render them here: the tests check their JSON against schema 39 (Grafana 10 and newer).
"""

import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.boards import BOARDS
from grafana.build import FOLDER, render_board, write
from tests.dashboards.boards import DashboardQuery, dashboard_queries, data_panels, fill_variables, load_boards

PANELS = [(board["uid"], panel) for board in load_boards() for panel in data_panels(board)]
IDS = [f"{uid}-{panel['title']}" for uid, panel in PANELS]

TOTALS = {"remediation_runs_total", "remediation_refusals_total", "remediation_deferrals_total"}
"""Counters shown as totals: their events are rare, and the rate of a series that starts at 1 is 0."""

WITHOUT_STACK = {"remediation_approvals_waiting"}
"""Metrics of the remediator as a whole."""


@pytest.mark.parametrize("uid", BOARDS)
def test_committed_json_matches_the_source(uid: str) -> None:
    assert (FOLDER / f"{uid}.json").read_text() == render_board(BOARDS[uid]), "run python -m grafana.build and commit"


def test_json_without_a_source_is_removed(tmp_path: Path) -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(BOARDS)
    (tmp_path / "gone.json").write_text("{}")
    write(tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == set(BOARDS)


@pytest.mark.parametrize("board", load_boards(), ids=lambda board: board["uid"])
def test_board_has_a_fixed_uid_and_is_read_only(board: dict[str, Any]) -> None:
    assert BOARDS[board["uid"]]["uid"] == board["uid"]
    assert board["id"] is None
    assert board["editable"] is False
    assert board["tags"] == ["runbookd"]
    assert not {"version", "__inputs"} & set(board)
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "stack"]


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=IDS)
def test_panel_has_a_title_description_and_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["targets"]
    assert _units(panel) != []
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


@pytest.mark.parametrize("board", load_boards(), ids=lambda board: board["uid"])
def test_panels_have_unique_ids_titles_and_places(board: dict[str, Any]) -> None:
    panels = board["panels"]
    assert max(Counter(panel["id"] for panel in panels).values()) == 1
    assert max(Counter(panel["title"] for panel in panels).values()) == 1
    assert [pair for pair in combinations(panels, 2) if _overlap(pair[0]["gridPos"], pair[1]["gridPos"])] == []
    assert all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in panels))


def test_every_query_has_a_unique_key() -> None:
    assert max(Counter(query.key for query in dashboard_queries()).values()) == 1


def test_unknown_variable_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"unknown variable \$job"):
        fill_variables('up{job="$job"}', {"stack": ".+"})


@pytest.mark.parametrize("query", dashboard_queries(stack="chosen"), ids=lambda query: query.key)
def test_every_query_selects_the_chosen_stacks(query: DashboardQuery) -> None:
    if "/variable/" in query.key:
        return
    for metric, selector in _selectors(query.expr):
        assert metric in WITHOUT_STACK or 'stack=~"chosen"' in selector, metric


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=IDS)
def test_counters_are_rates_over_the_rate_interval_of_grafana(panel: dict[str, Any]) -> None:
    for expr in (target["expr"] for target in panel["targets"]):
        assert set(re.findall(r"\[([^\]]+)\]", expr)) <= {"$__rate_interval"}
        counters = set(re.findall(r"\b\w+_total\b", expr)) - TOTALS
        assert counters == set(re.findall(r"rate\((\w+)", expr))


def test_limit_lines_use_the_thresholds_of_the_alerts() -> None:
    limits = [target for _, panel in PANELS for target in panel["targets"] if target["refId"] == "LIMIT"]
    assert {target["expr"].split("{")[0] for target in limits} == {
        "runbook:pg_idle_in_transaction_max_age_seconds:warning",
        "runbook:bullmq_queue_waiting_jobs:warning",
        "runbook:bullmq_queue_oldest_waiting_age_seconds:critical",
        "runbook:bullmq_queue_failed_jobs:warning",
        "runbook:bullmq_queue_dead_letter_jobs:warning",
        "runbook:backup_age_seconds:critical",
    }


def test_provisioned_interval_equals_the_scrape_interval() -> None:
    root = FOLDER.parents[1]
    source = yaml.safe_load((root / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    scrape = yaml.safe_load((root / "deploy/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape


def test_provisioned_boards_are_read_only() -> None:
    file = FOLDER.parent / "provisioning" / "dashboards" / "runbookd.yml"
    provider = yaml.safe_load(file.read_text())["providers"][0]
    assert provider["allowUiUpdates"] is False
    assert provider["disableDeletion"] is True


def _units(panel: dict[str, Any]) -> list[str]:
    fields = panel["fieldConfig"]
    overrides = [item["value"] for entry in fields["overrides"] for item in entry["properties"] if item["id"] == "unit"]
    return [*overrides, *([fields["defaults"]["unit"]] if "unit" in fields["defaults"] else [])]


def _selectors(expr: str) -> list[tuple[str, str]]:
    """Return each metric of an expression with its matchers, without functions and labels."""
    without_labels = re.sub(r"\b(by|on) \([^)]*\)", "", expr)
    pairs = re.findall(r"\b([a-zA-Z_][\w:]*)\b(?!\s*\()(\{[^}]*\})?", without_labels)
    return [(name, matchers) for name, matchers in pairs if name != "or"]


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    return not (apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])
