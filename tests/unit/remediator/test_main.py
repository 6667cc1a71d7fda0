"""The command `runbook-remediator`: its first line, and the files that a failed start leaves."""

import socket
import subprocess
import sys
from pathlib import Path

SLOW_TO_LOAD = {"alembic", "apprise", "asyncpg", "jinja2", "obstore", "redis", "sqlalchemy"}


def test_command_reads_its_flags_before_it_loads_what_takes_a_second() -> None:
    program = "import remediator.main, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "pydantic" in loaded.stdout.split()
    assert SLOW_TO_LOAD.isdisjoint(loaded.stdout.split())


def test_port_in_use_is_reported_after_the_first_line_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "inventory.yml").write_text("stacks: {shop: {redis: {main: {url: 'redis://127.0.0.1:1/0'}}}}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = ["--config.file=inventory.yml", f"--web.listen-address={address}"]
        command = [sys.executable, "-m", "remediator.main", *flags]
        end = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    first, *rest = end.stderr.splitlines()
    assert "level=info event=starting version=" in first
    assert rest == [f"cannot listen on {address}: it is in use; choose another with --web.listen-address"]
    assert end.returncode == 1
    assert [file.name for file in tmp_path.iterdir()] == ["inventory.yml"]
