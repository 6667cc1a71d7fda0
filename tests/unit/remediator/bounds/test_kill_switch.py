"""The kill switch as a file: effective before every effect, and when in doubt."""

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
def watched(bench: EngineHarness, file: Path) -> EngineHarness:
    bench.context = replace(bench.context, pause_file=file)
    bench.engine = Engine(bench.context)
    return bench


def write(file: Path, reason: str) -> None:
    file.write_text(reason)


def remove(file: Path) -> None:
    file.unlink()


async def test_no_effect_begins_while_the_file_is_there(watched: EngineHarness, file: Path) -> None:
    """Invariant 7."""

    async def touch() -> None:
        write(file, "deploying\nsecond line")

    watched.shelf.fill("a", "b")
    watched.shelf.after = touch
    await watched.deliver()
    await watched.work()
    run = await watched.last_run()
    assert (run.state, run.reason, watched.shelf.touched) == ("interrupted", "kill_switch", ["a"])
    watched.clock.advance(minutes=6)
    await watched.deliver()
    await watched.work()
    run = await watched.last_run()
    assert (run.state, run.reason) == ("refused", "kill_switch")
    assert run.evidence["bounds"]["refused_by"]["kill_switch"] == f"paused: deploying second line (the file {file})"
    families = {family.name: family for family in (await metrics.collect(watched.context)).collect()}
    assert families["remediation_paused"].samples[0].value == 1


async def test_when_it_is_gone_the_work_goes_on(watched: EngineHarness, file: Path) -> None:
    watched.shelf.fill("a")
    write(file, "")
    await watched.deliver()
    await watched.work()
    assert watched.shelf.touched == []
    remove(file)
    watched.clock.advance(minutes=6)
    await watched.deliver()
    await watched.work()
    assert watched.shelf.touched == ["a"]


def test_what_can_not_be_read_pauses(tmp_path: Path) -> None:
    assert "cannot read the file" in (read_pause_file(tmp_path) or "")
    assert read_pause_file(tmp_path / "none") is None
    assert read_pause_file(None) is None


def test_what_can_not_be_looked_for_pauses(tmp_path: Path) -> None:
    """Its folder may be mounted from elsewhere, and is not at this moment; a link may lead there."""
    assert read_pause_file(tmp_path / "gone" / "pause") == f"the folder of the file {tmp_path}/gone/pause is missing"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone" / "pause")
    assert read_pause_file(link) == f"the file {link} is a broken symbolic link"


@pytest.mark.timeout(20)
def test_a_pipe_pauses_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pause")
    assert read_pause_file(tmp_path / "pause") == f"no reason given (the file {tmp_path}/pause)"
