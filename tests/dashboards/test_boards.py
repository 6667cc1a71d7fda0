"""The committed boards match their sources, and each panel describes itself.

Grafana does not run here: the tests check its JSON against schema 39 (Grafana 10 to 13).
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
from grafana.panels import panel_id
from tests.dashboards.boards import DashboardQuery, dashboard_queries, data_panels, fill_variables, load_boards

PANELS = [(board["uid"], panel) for board in load_boards() for panel in data_panels(board)]
IDS = [f"{uid}-{panel['title']}" for uid, panel in PANELS]

TOTALS = {"remediation_runs_total", "remediation_refusals_total", "remediation_deferrals_total"}
"""Counters shown as totals: their events are rare, and the rate of a series that starts at 1 is 0."""

WITHOUT_STACK = {
    *("remediation_approvals_waiting", "remediation_escalations_unsent", "remediation_contact_unsent"),
    *("remediation_engine_up", "remediation_ledger_up", "remediation_leader", "remediation_deliveries_total"),
    *("runbook_remediator_config_last_reload_success", "runbook_exporter_config_last_reload_success"),
    *("runbook_exporter_build_info", "runbook:check"),
}
"""Series of a daemon as a whole, and the facts that are the same for every stack."""

VARIABLES = ["datasource", "stack", "target", "queue", "database"]
HEALTHY = {"green"}


@pytest.mark.parametrize("uid", BOARDS)
def test_committed_json_matches_the_source(uid: str) -> None:
    assert (FOLDER / f"{uid}.json").read_text() == render_board(BOARDS[uid]), "run make dashboards and commit"


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
    assert board["schemaVersion"] == 39
    assert not {"version", "__inputs"} & set(board)


@pytest.mark.parametrize("board", load_boards(), ids=lambda board: board["uid"])
def test_board_has_eight_to_fourteen_panels(board: dict[str, Any]) -> None:
    assert 8 <= len(data_panels(board)) <= 14


@pytest.mark.parametrize("board", load_boards(), ids=lambda board: board["uid"])
def test_every_variable_of_a_board_is_used_and_known(board: dict[str, Any]) -> None:
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == [name for name in VARIABLES if name in names]
    assert names[:2] == ["datasource", "stack"]
    exprs = " ".join(target["expr"] for panel in data_panels(board) for target in panel["targets"])
    assert {name for name in names[1:] if f"${name}" not in exprs} == set()


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=IDS)
def test_panel_has_a_title_description_and_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["targets"]
    assert _units(panel) != [] or panel["title"] == "Not measured"
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=IDS)
def test_description_says_what_is_shown_and_what_to_do(panel: dict[str, Any]) -> None:
    first, *rest = re.split(r"(?<=[.;:]) ", panel["description"])
    assert first.endswith((".", ";", ":"))
    assert panel["description"].endswith(".")
    assert re.search(r"\b(if|above|below|near|start at)\b", " ".join(rest), re.IGNORECASE), panel["description"]


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=IDS)
def test_panel_without_data_says_so_and_is_never_green(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["noValue"]
    if panel["type"] in ("stat", "bargauge"):
        assert defaults["thresholds"]["steps"][0]["color"] not in HEALTHY
    if panel["type"] == "stat":
        words = [mapping["options"]["-1"] for mapping in defaults["mappings"] if "-1" in mapping["options"]]
        expects_a_stack = any("-1 * group by (stack)" in target["expr"] for target in panel["targets"])
        assert bool(words) == expects_a_stack
        assert all((word["text"], word["color"] in HEALTHY) == ("not measured", False) for word in words)


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=IDS)
def test_words_without_data_leave_open_whether_anything_is_measured(panel: dict[str, Any]) -> None:
    words = panel["fieldConfig"]["defaults"]["noValue"]
    from_prometheus = all(re.search(r"\bALERTS\b|state:group", each["expr"]) for each in panel["targets"][:1])
    assert re.search("not measured|not scraped", words) or from_prometheus, words


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS if panel["type"] == "timeseries"])
def test_legend_does_not_show_a_value_of_a_series_that_has_ended(panel: dict[str, Any]) -> None:
    assert set(panel["options"]["legend"]["calcs"]) <= {"last"}


def test_exporter_that_is_gone_is_red() -> None:
    panel = next(panel for uid, panel in PANELS if (uid, panel["title"]) == ("fleet", "Exporter"))
    assert "or vector(0)" in panel["targets"][0]["expr"]
    assert {"value": 0, "color": "red"} in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]


def test_list_of_alerts_has_the_columns_of_its_headings_whatever_labels_an_alert_has() -> None:
    panel = next(panel for uid, panel in PANELS if (uid, panel["title"]) == ("fleet", "Firing alerts"))
    labels = {name for name in panel["transformations"][-1]["options"]["renameByName"] if name != "Value"}
    assert labels == set(re.findall(r"\w+", panel["targets"][0]["expr"].split("(")[1]))


@pytest.mark.parametrize("board", load_boards(), ids=lambda board: board["uid"])
def test_panels_have_unique_ids_titles_and_places(board: dict[str, Any]) -> None:
    panels = board["panels"]
    assert max(Counter(panel["id"] for panel in panels).values()) == 1
    assert max(Counter(panel["title"] for panel in panels).values()) == 1
    assert [pair for pair in combinations(panels, 2) if _overlap(pair[0]["gridPos"], pair[1]["gridPos"])] == []
    assert all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in panels))


def test_id_of_a_panel_follows_its_title_and_not_its_place() -> None:
    for _, panel in PANELS:
        assert panel["id"] == panel_id(f"{panel['type']} {panel['title']}")


def test_every_query_has_a_unique_key() -> None:
    assert max(Counter(query.key for query in dashboard_queries()).values()) == 1


def test_unknown_variable_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"unknown variable \$job"):
        fill_variables('up{job="$job"}', {"stack": ".+"})


@pytest.mark.parametrize("query", dashboard_queries(stack="chosen"), ids=lambda query: query.key)
def test_every_query_selects_the_chosen_stacks(query: DashboardQuery) -> None:
    if query.key.endswith("/variable/stack"):
        return
    for metric, selector in _selectors(query.expr):
        assert metric in WITHOUT_STACK or 'stack=~"chosen"' in selector, metric


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=IDS)
def test_counters_are_rates_over_an_interval_of_grafana(panel: dict[str, Any]) -> None:
    for expr in (target["expr"] for target in panel["targets"]):
        assert set(re.findall(r"\[([^\]]+)\]", expr)) <= {"$__rate_interval", "$__range"}
        counters = set(re.findall(r"\b\w+_total\b", expr)) - TOTALS
        assert counters == set(re.findall(r"rate\((\w+)", expr))


def test_limit_lines_use_the_thresholds_of_the_alerts() -> None:
    limits = [target for _, panel in PANELS for target in panel["targets"] if target["refId"] == "LIMIT"]
    drawn = {quantity for target in limits for quantity in _quantities(target["expr"])}
    rules = [text.read_text() for text in sorted((FOLDER.parents[1] / "alert_rules").glob("*.yml"))]
    compared = {quantity for text in rules for quantity in re.findall(r"runbook:(\w+):(?:critical|warning|info)", text)}
    assert drawn <= compared
    assert compared - drawn == WITHOUT_A_LINE, "add limits(QUANTITY) to a panel in grafana/boards/, or list it below"


WITHOUT_A_LINE = {
    *(
        "pg_up",
        "redis_up",
        "probe_success",
        "application_up",
        "elasticsearch_up",
        "elasticsearch_red",
        "elasticsearch_yellow",
    ),
    *("redis_maxmemory_policy_noeviction", "redis_rdb_last_bgsave_status", "backup_encrypted"),
    *("bullmq_queue_paused", "application_rate_limiting_enabled", "application_maintenance_mode"),
    *("pg_checksum_failures", "pg_invalid_indexes", "host_disk_full_in_seconds"),
    *("application_request_rise_ratio", "application_requests_per_second"),
}
"""Limits that are no line: yes or no, shown as words or a colour; and the last two lists, which have a line of text."""


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
    assert provider["folder"] == provider["folderUid"] == "runbookd"


def test_boards_are_mounted_where_grafana_looks_for_them() -> None:
    root = FOLDER.parents[1]
    file = FOLDER.parent / "provisioning" / "dashboards" / "runbookd.yml"
    path = yaml.safe_load(file.read_text())["providers"][0]["options"]["path"]
    service = yaml.safe_load((root / "compose.yaml").read_text())["services"]["grafana"]
    assert service["volumes"] == [
        "./grafana/provisioning:/etc/grafana/provisioning:ro",
        f"./grafana/dashboards:{path}:ro",
    ]


def _quantities(expr: str) -> list[str]:
    found = re.search(r'__name__=~"runbook:\(?([\w|]+)\)?:', expr)
    assert found, expr
    return found[1].split("|")


def _units(panel: dict[str, Any]) -> list[str]:
    fields = panel["fieldConfig"]
    overrides = [item["value"] for entry in fields["overrides"] for item in entry["properties"] if item["id"] == "unit"]
    return [*overrides, *([fields["defaults"]["unit"]] if "unit" in fields["defaults"] else [])]


WORDS = {"or", "and", "unless", "bool"}


def _selectors(expr: str) -> list[tuple[str, str]]:
    """Return each metric of an expression with its matchers, without functions, labels and texts."""
    without_labels = re.sub(r"\b(by|on|ignoring|group_left|group_right) \([^)]*\)", "", expr)
    texts = re.sub(r'(?<=[(,] )?"[^"]*"(?=[,)])(?![^{]*\})', "", without_labels)
    pairs = re.findall(r"(?<![\w$\"])([a-zA-Z_][\w:]*)?\b(?!\s*\()(\{[^}]*\})", texts)
    bare = re.findall(r"(?<![\w\"])([a-zA-Z_][\w:]*)\b(?!\s*[({=!~\"\w:])(?![^{]*\})", texts)
    windows = re.compile(r"\d*[smhd]")
    return [*pairs, *((name, "") for name in bare if name not in WORDS and not windows.fullmatch(name))]


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    return not (apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])
