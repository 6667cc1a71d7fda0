"""A daemon loads what its inventory needs, and no more: each library costs memory for as long as it runs."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys
from exporter.main import main
os._exit = sys.exit
try:
    main()
except SystemExit:
    print(*sorted({name for name, module in sys.modules.items() if module is not None}), file=sys.stderr)
"""
STACK = {
    "postgres": {"main": {"dsn": "postgresql://127.0.0.1:1/none"}},
    "redis": {"cache": {"url": "redis://127.0.0.1:1"}},
    "queues": {"jobs": {"redis": "cache"}},
}
BUCKET = {"backups": {"nightly": {"url": "file:///none", "pattern": "db_%Y%m%d.dump"}}}


def modules_of(stack: dict, folder: Path) -> set[str]:
    """Start on the inventory, up to the address, which no machine here has; return what the serving process loaded."""
    file = folder / "inventory.yml"
    file.write_text(json.dumps({"stacks": {"shop": stack}}))
    command = [sys.executable, "-c", PROGRAM, f"--config.file={file}", "--web.listen-address=192.0.2.1:1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    *messages, loaded = result.stderr.splitlines()
    assert messages[-1].startswith("cannot listen on 192.0.2.1:1"), result.stderr
    return set(loaded.split())


def test_daemon_without_buckets_loads_neither_their_libraries_nor_those_of_others(tmp_path) -> None:
    loaded = modules_of(STACK, tmp_path)
    assert "exporter.bullmq.collector" in loaded
    packages = {name.partition(".")[0] for name in loaded}
    assert packages.isdisjoint({"remediator", "sqlalchemy", "apprise", "alembic", "obstore", "rich", "bcrypt", "typer"})
    assert packages.isdisjoint({"pydantic", "pydantic_core", "pydantic_settings", "yaml"}), "another process reads"
    assert len(loaded) <= 670


def test_kind_is_loaded_when_a_target_of_it_is_configured(tmp_path) -> None:
    loaded = modules_of(BUCKET, tmp_path)
    assert "obstore" in loaded
    assert {"exporter.postgres.collector", "exporter.bullmq.collector"}.isdisjoint(loaded)
