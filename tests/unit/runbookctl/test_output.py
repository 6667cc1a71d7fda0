"""The command answers on every output: any encoding, a full disk, a closed pipe, no standard output at all."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.runbookctl.conftest import Ctl

PROGRAM = [sys.executable, "-c", "import sys; from runbookctl.main import main; sys.exit(main())"]
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
COMMANDS = [["run", "1"], ["runs", "-o", "json"], ["--help"]]


@pytest.fixture
def connection(remediator: str, tmp_path: Path, ctl: Ctl, deliver: Callable[..., None]) -> dict[str, str]:
    """Return the environment for a remediator with one run, whose target has letters of no 8-bit encoding."""
    deliver(stack="gone", remediation="run_backup", target="größe→🔥")
    deadline = time.monotonic() + 60
    while "refused" not in ctl("runs") and time.monotonic() < deadline:
        time.sleep(0.05)
    return {"REMEDIATOR_URL": remediator, "OPERATOR_TOKEN_FILE": str(tmp_path / "oncall"), "PATH": ""}


def shell(command: list[str], redirection: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = ["/bin/sh", "-c", f'"$@" {redirection}', "sh", *PROGRAM, *command]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, cwd=Path.cwd())


@pytest.mark.parametrize("encoding", [ASCII, {"PYTHONIOENCODING": "latin-1"}])
def test_any_encoding_gets_an_answer(connection: dict[str, str], encoding: dict[str, str]) -> None:
    for command in COMMANDS:
        result = subprocess.run([*PROGRAM, *command], env={**connection, **encoding}, capture_output=True, timeout=60)
        assert (result.returncode, result.stderr) == (0, b""), command
    runs = subprocess.run([*PROGRAM, "runs", "-o", "json"], env={**connection, **encoding}, capture_output=True)
    assert json.loads(runs.stdout.decode("latin-1"))["runs"][0]["target"] == "gone/backups/größe→🔥"


def test_full_disk_is_reported_in_one_line(connection: dict[str, str]) -> None:
    for command in COMMANDS:
        result = shell(command, ">/dev/full", connection)
        reason = "runbookctl: cannot write the output: No space left on device; free some space, or print elsewhere\n"
        assert (result.returncode, result.stderr) == (1, reason), command


def test_closed_pipe_ends_the_command_without_a_word(connection: dict[str, str]) -> None:
    for command in COMMANDS:
        result = shell(command, "| /bin/true", connection)
        assert (result.stdout, result.stderr) == ("", ""), command


def test_closed_standard_output_is_reported_in_one_line(connection: dict[str, str]) -> None:
    for command in COMMANDS:
        result = shell(command, ">&-", connection)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
        assert result.stderr.startswith("runbookctl: standard output is closed")


def test_pipe_gets_no_padding(connection: dict[str, str]) -> None:
    for command in (["runs"], ["run", "1"]):
        lines = subprocess.run([*PROGRAM, *command], env=connection, capture_output=True, text=True).stdout.splitlines()
        assert lines
        assert [line for line in lines if line != line.rstrip() or "   " in line] == []


def test_reason_of_any_encoding_pauses(connection: dict[str, str]) -> None:
    for reason, shown in ((b"gr\xc3\xb6\xc3\x9fe", "größe"), (b"gr\xf6\xdfe", "gr\ufffd\ufffde")):
        command = [*PROGRAM, "pause", "--reason", reason, "-o", "json"]
        result = subprocess.run(command, env={**connection, **ASCII}, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        assert shown in subprocess.run([*PROGRAM, "status"], env=connection, capture_output=True, text=True).stdout


def test_question_with_closed_standard_input_starts_nothing(connection: dict[str, str]) -> None:
    result = shell(["start", "collect_diagnostics", "shop/stack/shop"], "<&-", connection)
    assert (result.returncode, "Traceback" in result.stderr) == (1, False), result.stderr
