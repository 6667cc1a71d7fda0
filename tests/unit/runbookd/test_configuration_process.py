"""A daemon receives what another process has read, or the reason why not; secrets stay between the two."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import main
from runbookd import configuration_process
from runbookd.configuration_process import ConfigurationReading, ReadingFailed
from runbookd.service import ReloadFailed

BEGINNING = """
import os, sys, time
from runbookd.configuration_process import answer, receive
arguments, memory = receive(int(sys.argv[1]))
"""
HANGS = "time.sleep(60)"
BROKEN = {
    "os.kill(os.getpid(), 9)": "was ended by signal 9",
    "sys.exit(3)": "ended with code 3",
    "memory.write(b'hunter2'); memory.flush()": "answered something else than an inventory",
    "answer(memory, {'stacks': {}})": "answered something else than an inventory",
    HANGS: "took more than 2 s",
}
StartReading = Callable[..., ConfigurationReading]


@pytest.fixture
def start_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StartReading:
    """Start a child that runs `code` after it has received its arguments."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def start(code: str, *arguments: str) -> ConfigurationReading:
        (tmp_path / "child.py").write_text(BEGINNING + code)
        return ConfigurationReading("child", arguments)

    return start


@pytest.mark.parametrize(("code", "reason"), BROKEN.items())
def test_child_that_does_not_answer_fails_the_reading_with_its_reason(
    start_reading: StartReading, code: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if code == HANGS:
        monkeypatch.setattr(configuration_process, "MAX_SECONDS", 2.0)
    with pytest.raises(ReadingFailed, match=f"cannot read the inventory: its process {reason}; try again") as caught:
        start_reading(code).outcome()
    assert "hunter2" not in str(caught.value)


def test_child_that_cannot_start_fails_the_reading(
    start_reading: StartReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ReadingFailed, match=r"its process cannot start \(No such file or directory\); try again"):
        start_reading("")


def test_child_that_only_prints_has_no_outcome(start_reading: StartReading, capfd: pytest.CaptureFixture[str]) -> None:
    assert start_reading("print('version 1')").outcome() is None
    assert capfd.readouterr().out == "version 1\n"


def test_child_gets_flags_and_variables_that_nobody_can_list(
    start_reading: StartReading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://x:hunter2@db/shop")
    monkeypatch.setenv("RUNBOOK__STACKS__SHOP__REDIS__MAIN__URL", "redis://:hunter2@cache")
    code = """
listed = [open(f"/proc/self/{name}").read() for name in ("cmdline", "environ")]
variables = [os.environ["DATABASE_URL"], os.environ["RUNBOOK__STACKS__SHOP__REDIS__MAIN__URL"]]
answer(memory, (arguments, variables, listed, sys.path))
"""
    arguments, variables, listed, path = start_reading(code, "--secret=hunter2").outcome()
    assert arguments == ["--secret=hunter2"]
    assert variables == [os.environ["DATABASE_URL"], os.environ["RUNBOOK__STACKS__SHOP__REDIS__MAIN__URL"]]
    assert "hunter2" not in "".join(listed)
    assert set(filter(None, sys.path)) <= set(path)


def test_modules_beside_the_working_folder_are_not_run(
    start_reading: StartReading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m` would look there first, and a daemon may be started anywhere."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "pickle.py").write_text("raise SystemExit(66)")
    monkeypatch.chdir(foreign)
    assert start_reading("answer(memory, ())").outcome() == ()


def test_reload_is_refused_if_the_child_fails(start_reading: StartReading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "_start_reading", lambda: start_reading("os.kill(os.getpid(), 9)"))
    with pytest.raises(ReloadFailed, match="was ended by signal 9; try again"):
        main._read_again()
