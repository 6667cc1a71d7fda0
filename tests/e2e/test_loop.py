"""The whole loop with real processes: four incidents, their report, dashboards and logs."""

import json
import sqlite3
import time
import urllib.parse
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from demo.paths import DemoPaths
from demo.servers.http import request
from grafana.links import panels_of_alerts
from tests.dashboards.boards import DashboardQuery, dashboard_queries
from tests.dashboards.empty_in_demo import always_empty, reason_to_be_empty
from tests.e2e.conftest import demo_processes

STEPS = ["seen", "pending", "firing", "delivered", "planned", "bounds", "applied", "verified", "resolved"]
SLOW_SECONDS = 40


def test_three_incidents_are_fixed_and_the_fourth_is_refused(report: dict[str, Any]) -> None:
    assert report["missing"] == [], report["output"]
    assert report["ok"] is True
    assert report["exit_code"] == 0
    outcomes = {letter: (each["outcome"], each["refused_by"]) for letter, each in report["incidents"].items()}
    fixed = ("succeeded", "")
    assert outcomes == {"a": fixed, "b": fixed, "c": fixed, "d": ("refused", "max_items")}


@pytest.mark.parametrize("letter", "abc")
def test_fixed_incident_reaches_every_step_in_order(report: dict[str, Any], letter: str) -> None:
    steps = report["incidents"][letter]["steps"]
    assert list(steps) == STEPS
    # The remediator's own times are exact; those observed from outside are up to a second late.
    exact = [steps[name] for name in ("delivered", "planned", "bounds", "applied", "verified")]
    assert exact == sorted(exact)
    assert steps["pending"] + 13 < steps["firing"] < steps["delivered"] + 2
    assert steps["verified"] < steps["resolved"] + 5


def test_refused_incident_is_never_applied(report: dict[str, Any]) -> None:
    steps = report["incidents"]["d"]["steps"]
    assert "bounds" in steps
    assert "applied" not in steps
    assert "verified" not in steps


def test_loop_takes_less_than_three_minutes(report: dict[str, Any]) -> None:
    assert report["seconds"] < 180


def _query(prometheus: str, query: DashboardQuery) -> list[Any]:
    """Return Prometheus' result for a query: now, or over the last five minutes as on a board."""
    now = time.time()
    what = {"query": query.expr, **({"time": now} if query.instant else {"start": now - 300, "end": now, "step": 1})}
    path = "query" if query.instant else "query_range"
    body = urllib.parse.urlencode(what).encode()
    result: list[Any] = json.loads(request(f"{prometheus}/api/v1/{path}", "POST", body, seconds=10))["data"]["result"]
    return result


def test_every_query_of_every_board_has_data_or_a_reason_to_be_empty(
    report: dict[str, Any], addresses: Callable[[str], str]
) -> None:
    assert report["ok"], report["missing"]
    queries = dashboard_queries(stack="shop", rate_interval="30s")
    deadline = time.monotonic() + SLOW_SECONDS  # what is read in the background may come later
    empty = [query for query in queries if not _query(addresses("PROMETHEUS_URL"), query)]
    while any(not reason_to_be_empty(query) for query in empty) and time.monotonic() < deadline:
        time.sleep(2)
        empty = [query for query in empty if not _query(addresses("PROMETHEUS_URL"), query)]
    assert [query.place for query in empty if not reason_to_be_empty(query)] == []
    filled = {query.place for query in queries} - {query.place for query in empty}
    assert filled & set(always_empty()) == set(), "they have data: remove them from the list"


def test_alert_of_an_incident_leads_to_the_panel_that_shows_it(report: dict[str, Any], up: DemoPaths) -> None:
    assert report["ok"], report["missing"]
    with closing(sqlite3.connect(f"file:{up.ledger}?mode=ro", uri=True)) as ledger:
        deliveries = [json.loads(body) for (body,) in ledger.execute("SELECT body FROM delivery")]
    links = {
        alert["labels"]["alertname"]: alert["annotations"].get("dashboard_url")
        for delivery in deliveries
        for alert in delivery["alerts"]
    }
    board, panel = panels_of_alerts()["QueueFailedJobs"]
    place = f"https://grafana.example/d/{board}?var-stack=shop&var-target=jobs&var-queue=emails&viewPanel={panel}"
    assert links["QueueFailedJobs"] == place


def test_logs_and_command_lines_contain_no_secret(report: dict[str, Any], up: DemoPaths) -> None:
    assert report["ok"], report["missing"]
    passwords = {urlsplit(up.secret(file.name)).password for file in up.secrets.glob("*s_*")}
    of_people = [up.secret(f"operator_{each}") for each in ("token", "password", "password_hash")]
    secrets = {*passwords, up.secret("webhook_token"), *of_people} - {None}
    assert len(secrets) == 5 + 1 + 3 + 1 + 3  # PostgreSQL's roles, its superuser, Redis' users, the webhook, people
    texts = {str(log): log.read_text(errors="replace") for log in up.parts.glob("*/*.log")}
    texts |= {str(pid): arguments for pid, arguments in demo_processes().items()}
    assert [place for place, text in texts.items() if any(secret in text for secret in secrets if secret)] == []
