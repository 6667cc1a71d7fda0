"""Every module that can be started explains itself with `--help`, and does nothing else."""

import asyncio
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tools.toolchain.paths import ROOT

ENDS_THE_PROCESS = Path("demo/__main__.py")  # and with it the tests; its commands are typer's
STARTED = '\nif __name__ == "__main__":\n'
FOLDERS = (
    "benchmarks",
    "chaos",
    "demo",
    "grafana",
    "soak",
    "tools",
    "tests/invariants",
    "tests/protocol",
    "tests/rules",
)
FILES = [
    file.relative_to(ROOT)
    for folder in FOLDERS
    for file in sorted((ROOT / folder).rglob("*.py"))
    if "node_modules" not in file.parts and STARTED in file.read_text(encoding="utf-8")
]
FILES.remove(ENDS_THE_PROCESS)


def _refuse(*_arguments: object, **_named: object) -> None:
    raise AssertionError("it has begun its work")


@pytest.mark.usefixtures("restored_logging")  # some configure the logs before they read their flags
@pytest.mark.parametrize("file", FILES, ids=str)
def test_help_is_printed_and_nothing_is_done(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(file), "--help"])
    for place, name in ((asyncio, "run"), (subprocess.Popen, "__init__"), (Path, "write_text"), (Path, "mkdir")):
        monkeypatch.setattr(place, name, _refuse)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / file), run_name="__main__")
    assert ended.value.code in (0, None)
    assert capsys.readouterr().out.strip().lower().startswith("usage")
