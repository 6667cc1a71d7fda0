"""A small inventory and a file of cases that pass, and the command that plays them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from runbookctl.main import app

INVENTORY = """\
alertmanager: {url: "http://127.0.0.1:9093"}
operators: {oncall: {token_file: /nowhere/token}, dba: {token_file: /nowhere/other}}
contacts: {chat: {url: "json://127.0.0.1:9"}, leads: {url: "json://127.0.0.1:9"}}
stacks:
  shop:
    postgres: {main: {dsn: "postgresql://db/shop"}, spare: {dsn: "postgresql://db/spare"}}
    redis: {cache: {url: "redis://cache/0"}}
    queues: {jobs: {redis: cache, names: [mail, sms]}}
    services: {api: {systemd: {unit: api.service}, requires: [postgres/main]}}
    escalation: {first: {contacts: [chat]}, second: {after: 30m, contacts: [leads]}}
    remediations:
      terminate_idle_transactions: {mode: auto, max_items: 10, cooldown: 10m}
      retry_failed_jobs: {mode: approve, batch: 2}
      restart_service: {mode: auto}
"""
Play = Callable[..., Result]


def case(body: str, name: str = "a case") -> str:
    """Return a file with one case; `body` is indented by four spaces."""
    return f"inventory: inventory.yml\ncases:\n  - name: {name}\n{body}"


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Return a function that writes a file of cases and runs `runbookctl test` on it, and on other files."""
    (tmp_path / "inventory.yml").write_text(INVENTORY)

    def run(text: str, *options: str) -> Result:
        (tmp_path / "cases.yml").write_text(text)
        # Exceptions of our own become lines of text in main(); here a test sees them as they are.
        return CliRunner().invoke(app, ["test", str(tmp_path / "cases.yml"), *options], catch_exceptions=True)

    return run


@pytest.fixture
def failures(play: Play, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that plays one case and returns its failures, with the names of files without folders."""

    def run(body: str) -> list[dict[str, Any]]:
        result = play(case(body), "--output", "json")
        assert result.exit_code in (0, 1), (result.output, result.exception)
        [file] = json.loads(result.output)["files"]
        [played] = file["cases"]
        assert played["passed"] is not bool(played["failures"])
        return [{**each, "place": each["place"].replace(f"{tmp_path}/", "")} for each in played["failures"]]

    return run
