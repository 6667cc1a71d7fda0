"""`contacts` lists who is notified and whether messages arrive; `contacts test` sends one."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runbookctl.main import app
from tests.unit.remediator.escalation.services import Services, serve_services
from tests.unit.runbookctl.conftest import Ctl


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    with serve_services(monkeypatch) as served:
        yield served


@pytest.fixture
def contacts(services: Services) -> dict[str, Any]:
    """Replace the contacts of the remediator."""
    return {
        "oncall": {"url": services.address("telegram")},
        "leads": {"url": services.address("discord")},
        "managers": {"url": "slackk://T1/B1/secret"},
    }


@pytest.fixture
def refused(remediator: str, tmp_path: Path) -> Callable[..., str]:
    def call(*arguments: str) -> str:
        words = ["--url", remediator, "--token-file", str(tmp_path / "oncall"), *arguments]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 1, result.output
        return result.output or str(result.exception)

    return call


def test_accepted_test_message_is_reported(ctl: Ctl, services: Services) -> None:
    assert ctl("contacts", "test", "oncall") == "oncall accepted the message\n"
    assert "[runbookd] test message to oncall" in services.only().text
    assert "Operator oncall sent this test message. Nothing is wrong." in services.only().text


def test_answer_of_a_service_is_reported_in_our_own_words(
    ctl: Ctl, refused: Callable[..., str], services: Services
) -> None:
    services.refuse = lambda *_: (404, {"message": "Unknown Webhook secretdiscordtoken"})
    assert refused("contacts", "test", "leads") == "leads: it does not know the address (HTTP 404)\n"
    words = "its address cannot be used: Apprise has no service of its schema; did you mean slack://?"
    assert refused("contacts", "test", "managers") == f"managers: {words}\n"
    assert json.loads(refused("contacts", "test", "managers", "-o", "json"))["accepted"] is False
    rows = {row["name"]: row for row in json.loads(ctl("contacts", "-o", "json"))["contacts"]}
    assert rows["leads"]["last_failure"] == "it does not know the address (HTTP 404)"
    assert rows["leads"]["last_success_at"] is None


def test_unknown_contact_is_named_with_the_known_ones(refused: Callable[..., str]) -> None:
    assert (
        refused("contacts", "test", "boss") == "there is no contact 'boss'; the inventory has oncall, leads, managers"
    )


def test_contacts_are_listed_with_their_kind_and_last_success(ctl: Ctl) -> None:
    ctl("contacts", "test", "oncall")
    lines = [line.split() for line in ctl("contacts").splitlines()]
    assert lines[0] == ["name", "kind", "unsent", "last", "success", "last", "failure"]
    assert [line[:3] for line in lines[1:]] == [
        ["oncall", "tgram", "0"],
        ["leads", "discord", "0"],
        ["managers", "unknown", "0"],
    ]
    assert lines[1][-1] == "none"
    assert lines[2][3:] == ["none", "none"]
    assert "secret" not in ctl("contacts", "-o", "json")


def test_contacts_are_shown_to_operators_only(remediator: str, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong")
    for command in (["contacts"], ["contacts", "test", "oncall"]):
        result = CliRunner().invoke(app, ["--url", remediator, "--token-file", str(tmp_path / "wrong"), *command])
        assert "token" in str(result.exception)
