"""A replay gives the same report each time, whatever the process: it depends on the past and the settings alone."""

import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.unit.remediator.payloads import delivery

ROOT = Path(__file__).parents[3]
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("terminate_idle_transactions", "cancel_long_queries")
TARGETS = ("db0", "db1", "db2", "db3", "gone")
INVENTORY = """
limits: {storm: {targets: 4, within: 5m, cooldown: 10m}}
stacks:
  shop:
    runbook_url: https://runbooks.example/shop
    postgres: {db0: {dsn: postgresql://h/a}, db1: {dsn: postgresql://h/a}, db2: {dsn: postgresql://h/a}, db3: {dsn: postgresql://h/a}}
    remediations:
      terminate_idle_transactions: {mode: shadow, cooldown: 5m, max_items: 5, max_runs_per_hour: 2}
      cancel_long_queries: {mode: shadow, min_firing: 2m}
"""
# Runs the command twice, so that one process prints both reports.
TWO_REPORTS = """
import sys
from runbookctl.main import main
command = ["runbookctl", "replay", *sys.argv[1:], "--output"]
for output in ("text", "json"):
    sys.argv = [*command, output]
    assert main() == 0
"""


def write_past(file: Path) -> None:
    """Write an export: three hours in which two alerts of five targets fire and end at random, some delivered twice."""
    generator, since = random.Random(5), {}  # noqa: S311
    lines = [{"format": "runbookd-deliveries/1", "since": SINCE.isoformat()}]
    for number in range(60):
        at = SINCE + timedelta(seconds=180 * number)
        name, target = generator.choice(NAMES), generator.choice(TARGETS)
        alert = {"remediation": name, "target": target, "fingerprint": f"{name}/{target}"}
        started = since.setdefault((name, target), at).isoformat()
        if generator.random() < 0.3:
            del since[name, target]
            body = delivery(status="resolved", starts=started, ends=at.isoformat(), **alert)
        else:
            body = delivery(starts=started, **alert)
        rows = [{"delivery": {"received_at": at.isoformat(), "body": body.decode()}}]
        if not number % 3:
            plan = {"at": at.isoformat(), "remediation": name, "target": f"shop/postgres/{target}"}
            rows.append({"plan": {**plan, "found": generator.randrange(9), "population": 20, "error": ""}})
        lines += rows
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def reports(folder: Path, seed: int) -> tuple[str, Any]:
    """Return the text, and the JSON, of a process with this seed of its hashes."""
    inventory = folder / "inventory.yml"
    inventory.write_text(INVENTORY, encoding="utf-8")
    period = ["--since", "1d", "--until", "2026-03-01T04:00:00Z"]
    changed = ["--set", "stacks.shop.remediations.terminate_idle_transactions.max_items=50"]
    options = ["--deliveries", str(folder / "past.jsonl"), "--config.file", str(inventory), *period, *changed]
    result = subprocess.run(
        [sys.executable, "-c", TWO_REPORTS, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    text, start, data = result.stdout.partition("\n{\n")
    return text, json.loads(start + data)


def test_two_processes_print_the_same_report_and_a_setting_changes_it(tmp_path: Path) -> None:
    write_past(tmp_path / "past.jsonl")
    text, data = reports(tmp_path, seed=1)
    assert reports(tmp_path, seed=2) == (text, data)
    assert "refused by max_items" in text
    assert data["changed"]["remediations"] != data["present"]["remediations"]
