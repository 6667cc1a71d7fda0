"""The next dump removes the leftovers of a killed remediator, but no folder in use."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remediator.clients.scratch_dir import PREFIX, scratch_dir

HOLD = """
import sys, tempfile
from remediator.clients.scratch_dir import scratch_dir
tempfile.tempdir = sys.argv[1]
with scratch_dir() as folder:
    (folder / "dump").write_text("all of it")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@contextmanager
def other_process(temporary: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start another process with a scratch folder."""
    command = [sys.executable, "-c", HOLD, str(temporary)]
    root = Path(__file__).parents[4]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_scratch_dir_is_removed_afterwards(temporary: Path) -> None:
    with scratch_dir() as folder:
        (folder / "dump").write_text("x")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == []


def test_leftover_of_a_killed_process_is_removed(temporary: Path) -> None:
    with other_process(temporary) as (process, left):
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (left / "dump").exists()
    with scratch_dir() as folder:
        assert list(temporary.iterdir()) == [folder]


def test_folder_in_use_by_another_process_stays(temporary: Path) -> None:
    with other_process(temporary) as (_, theirs), scratch_dir() as first, scratch_dir() as second:
        assert (theirs / "dump").exists()
        assert {theirs, first, second} == set(temporary.iterdir())


def test_symbolic_link_and_its_target_stay(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("x")
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    with scratch_dir():
        pass
    assert (elsewhere / "kept").exists()
    assert (temporary / f"{PREFIX}link").is_symlink()
