"""`done`, `duties` and `windows` against a real remediator."""

import json
import re
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runbookctl.main import app
from tests.unit.runbookctl import conftest
from tests.unit.runbookctl.conftest import Ctl

FREEZE = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "reason": "sale"}
WINDOW = {
    "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    "from": "02:00",
    "to": "04:00",
    "announcements": {"soon": {"before": "2h", "text": "status page"}},
}
SHOP = {
    **conftest.SHOP,
    "duties": {
        "drill": {"every": "31d", "priority": "P2", "runbook_url": "https://runbooks.example/drill"},
        "rotation": {"every": "90d", "secrets": True},
    },
    "windows": {"night": WINDOW},
    "freezes": {"winter": FREEZE},
}
Refusal = Callable[..., str]


@pytest.fixture(autouse=True)
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "SHOP", SHOP)


@pytest.fixture
def refusal(stack: None, remediator: str, tmp_path: Path) -> Refusal:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["--url", remediator, "--token-file", str(tmp_path / "oncall"), *words])
        assert result.exit_code != 0
        return result.output or str(result.exception)

    return run


def duty(ctl: Ctl, name: str = "drill") -> dict[str, Any]:
    found = json.loads(ctl("duties", "--output", "json"))["duties"]
    return next(each for each in found if each["duty"] == name)


def page(remediator: str) -> str:
    with urllib.request.urlopen(f"{remediator}/metrics") as response:  # noqa: S310 a server of this test
        return str(response.read().decode())


def value(remediator: str, series: str) -> float:
    (found,) = re.findall(rf"^{re.escape(series)} (\S+)$", page(remediator), re.M)
    return float(found)


def test_done_moves_the_due_date_the_metric_and_the_trail(ctl: Ctl, remediator: str) -> None:
    assert (duty(ctl)["state"], duty(ctl)["last_done_at"]) == ("never_done", None)
    at = (datetime.now(UTC) - timedelta(days=3)).replace(microsecond=0)
    assert "shop drill: done at" in ctl("done", "shop", "drill", "--at", at.isoformat(), "--note", "table 4 was empty")
    found = duty(ctl)
    assert (found["state"], found["last_done_by"], found["note"]) == ("done", "oncall", "table 4 was empty")
    assert datetime.fromisoformat(found["due_at"]) == at + timedelta(days=31)
    names = 'duty="drill",stack="shop"'
    assert value(remediator, f"duty_last_done_timestamp_seconds{{{names}}}") == at.timestamp()
    assert value(remediator, f"duty_interval_seconds{{{names}}}") == 31 * 86_400
    info = 'duty_info{duty="drill",priority="P2",runbook_url="https://runbooks.example/drill",stack="shop"}'
    assert value(remediator, info) == 1
    assert "broken" not in ctl("audit", "verify")


def test_overdue_duty_is_listed_first_with_exit_code_1(ctl: Ctl, refusal: Refusal) -> None:
    ctl("done", "shop", "drill", "--at", "2026-01-01T00:00:00Z")
    lines = refusal("duties").splitlines()
    assert lines[0].split("\t") == ["due", "state", "priority", "stack", "duty", "every", "last done", "by", "note"]
    assert lines[1].split("\t") == ["2026-02-01", "overdue", "P2", "shop", "drill", "31d", "2026-01-01", "oncall", "-"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("shop", "drill", "--at", "2100-01-01T00:00:00Z"), "is in the future; report a duty after it was done"),
        (("shop", "drill", "--at", "1970-01-01T00:00:00Z"), "is before 2000"),
        (("shop", "drill", "--at", "2026-01-01T00:00:00"), "at: needs a time zone"),
        (("shop", "drill", "--at", "yesterday"), "at: must be a moment such as 2026-"),
        (("shop", "dril"), "stack shop has no duty 'dril'; did you mean 'drill'?"),
        (("shoq", "drill"), "the inventory has no stack 'shoq'; did you mean 'shop'?"),
        (("shop", "../pause"), "stack shop has no duty '../pause'"),
        (("shop", "rotation"), "rotation is measured by the age of the secret files"),
        (("shop", "drill", "--note", "x" * 2_001), "note: must have at most 2000 characters"),
    ],
)
def test_report_that_cannot_be_true_is_refused(refusal: Refusal, words: tuple[str, ...], reason: str) -> None:
    assert reason in refusal("done", *words)


def test_windows_are_listed_with_announcements_and_freezes(ctl: Ctl, remediator: str) -> None:
    lines = [line.split("\t") for line in ctl("windows", "--days", "2").splitlines()]
    assert lines[0] == ["when", "stack", "event", "detail"]
    assert ["shop", "freeze winter", "until 2100-01-01: sale"] in [line[1:] for line in lines]
    events = {line[2] for line in lines}
    assert "window night" in events
    assert "announcement soon of night" in events
    assert next(line for line in lines if line[2].startswith("announcement"))[3] == "listed only: status page"
    assert value(remediator, 'stack_freeze_active{freeze="winter",stack="shop"}') == 1
    before = 2 <= datetime.now(UTC).hour < 4
    is_open = value(remediator, 'stack_window_active{stack="shop",window="night"}')
    assert is_open in (before, 2 <= datetime.now(UTC).hour < 4)


def test_windows_of_more_than_a_quarter_are_refused(refusal: Refusal) -> None:
    assert "92" in refusal("windows", "--days", "93")
