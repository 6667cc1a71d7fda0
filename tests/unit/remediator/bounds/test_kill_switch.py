"""The pause file: read before every effect; a file that cannot be read pauses."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.bounds.kill_switch import read_pause_file
from remediator.engine.engine import Engine
from remediator.server import metrics
from tests.unit.remediator.conftest import EngineHarness


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pause"


@pytest.fixture
def pause_file_harness(harness: EngineHarness, file: Path) -> EngineHarness:
    harness.context = replace(harness.context, pause_file=file)
    harness.engine = Engine(harness.context)
    return harness


def write(file: Path, reason: str) -> None:
    file.write_text(reason)


def remove(file: Path) -> None:
    file.unlink()


async def test_no_effect_begins_while_the_pause_file_exists(pause_file_harness: EngineHarness, file: Path) -> None:
    """Invariant 7."""

    async def touch() -> None:
        write(file, "deploying\nsecond line")

    pause_file_harness.files.fill("a", "b")
    pause_file_harness.files.after = touch
    await pause_file_harness.deliver()
    await pause_file_harness.work()
    run = await pause_file_harness.last_run()
    assert (run.state, run.reason, pause_file_harness.files.touched) == ("interrupted", "kill_switch", ["a"])
    pause_file_harness.clock.advance(minutes=6)
    await pause_file_harness.deliver()
    await pause_file_harness.work()
    run = await pause_file_harness.last_run()
    assert (run.state, run.reason) == ("refused", "kill_switch")
    assert run.evidence["bounds"]["refused_by"]["kill_switch"] == f"paused: deploying second line (the file {file})"
    families = {family.name: family for family in (await metrics.collect(pause_file_harness.context)).collect()}
    assert families["remediation_paused"].samples[0].value == 1


async def test_remediation_resumes_when_the_pause_file_is_removed(
    pause_file_harness: EngineHarness, file: Path
) -> None:
    pause_file_harness.files.fill("a")
    write(file, "")
    await pause_file_harness.deliver()
    await pause_file_harness.work()
    assert pause_file_harness.files.touched == []
    remove(file)
    pause_file_harness.clock.advance(minutes=6)
    await pause_file_harness.deliver()
    await pause_file_harness.work()
    assert pause_file_harness.files.touched == ["a"]


def test_unreadable_pause_file_pauses(tmp_path: Path) -> None:
    assert "cannot read the file" in (read_pause_file(tmp_path) or "")
    assert read_pause_file(tmp_path / "none") is None
    assert read_pause_file(None) is None


def test_pause_file_in_a_missing_folder_pauses(tmp_path: Path) -> None:
    """The folder may be a mount that is currently missing; a link may lead there."""
    assert read_pause_file(tmp_path / "gone" / "pause") == f"the folder of the file {tmp_path}/gone/pause is missing"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone" / "pause")
    assert read_pause_file(link) == f"the file {link} is a broken symbolic link"


@pytest.mark.timeout(20)
def test_named_pipe_pauses_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pause")
    assert read_pause_file(tmp_path / "pause") == f"no reason given (the file {tmp_path}/pause)"
