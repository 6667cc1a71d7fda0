"""Processes outlive their starter and stop with their children; others are never killed."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from demo.servers.errors import ServerError
from demo.servers.proc import ProcessIdentity, descendants, identify, is_running, send, session_members
from demo.servers.process import STOP_SECONDS, Launch, Process
from tools.toolchain.paths import ROOT

FOREVER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def bystander():
    """Yield a process in its own session that was not started with `Process`."""
    child = subprocess.Popen(FOREVER, start_new_session=True)
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def process(tmp_path: Path):
    process = Process(tmp_path, "sleeper")
    yield process
    process.stop(seconds=0)


def _record(process: Process, identity: ProcessIdentity) -> None:
    (process.folder / f"{process.name}.pid").write_text(json.dumps(asdict(identity)))


@pytest.mark.parametrize("what", ["started", "boot"])
def test_process_with_a_recycled_number_is_not_killed(process: Process, bystander, what: str) -> None:
    living = identify(bystander.pid)
    stale = replace(living, started=living.started - 1) if what == "started" else replace(living, boot="another boot")
    _record(process, stale)
    assert not process.running
    process.stop()
    time.sleep(0.1)
    assert bystander.poll() is None
    send(stale, signal.SIGKILL)
    time.sleep(0.1)
    assert bystander.poll() is None


def test_signal_reaches_the_right_process(bystander) -> None:
    send(identify(bystander.pid), signal.SIGTERM)
    assert bystander.wait(timeout=60) == -signal.SIGTERM


def test_children_end_with_their_parent_even_if_they_ignore_it(process: Process) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {stubborn!r}]); time.sleep(600)"
    process.launch(Launch([sys.executable, "-c", parent]))
    identity = process.identity
    assert identity is not None
    process.wait_until(lambda: len(session_members(identity)) == 2)
    process.stop()
    assert session_members(identity) == []


def test_children_in_their_own_sessions_end_with_their_parent(process: Process) -> None:
    parent = f"import subprocess, time; subprocess.Popen({FOREVER!r}, start_new_session=True); time.sleep(600)"
    process.launch(Launch([sys.executable, "-c", parent]))
    identity = process.identity
    assert identity is not None
    process.wait_until(lambda: len(descendants(identity)) == 1)
    (child,) = descendants(identity)
    assert child not in session_members(identity)
    process.stop()
    assert not is_running(child)


def test_children_end_even_if_their_parent_is_dead(process: Process) -> None:
    parent = f"import subprocess; subprocess.Popen({FOREVER!r})"
    process.launch(Launch([sys.executable, "-c", parent]))
    identity = process.identity
    assert identity is not None
    while is_running(identity):
        time.sleep(0.02)
    assert len(session_members(identity)) == 1
    process.stop()
    assert session_members(identity) == []


def test_process_can_clean_up_before_it_ends(process: Process) -> None:
    polite = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit('tidied up'));"
        "print('ready', flush=True); time.sleep(600)"
    )
    process.launch(Launch([sys.executable, "-c", polite]))
    process.wait_until(lambda: "ready" in process.log.read_text())
    before = time.monotonic()
    process.stop()
    assert time.monotonic() - before < STOP_SECONDS
    assert process.log.read_text() == "ready\ntidied up\n"


def test_process_that_ignores_sigterm_is_killed(process: Process) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    process.launch(Launch([sys.executable, "-c", stubborn]))
    process.wait_until(lambda: "deaf" in process.log.read_text())
    before = time.monotonic()
    process.stop(seconds=0.5)
    assert 0.5 <= time.monotonic() - before < 15
    assert not process.running


def test_process_outlives_its_starter_and_is_stopped_by_another(process: Process) -> None:
    start = (
        "import sys; from pathlib import Path; from demo.servers.process import STOP_SECONDS, Launch, Process;"
        f"Process(Path(sys.argv[1]), 'sleeper').launch(Launch({FOREVER!r}))"
    )
    subprocess.run([sys.executable, "-c", start, str(process.folder)], cwd=ROOT, check=True)
    assert process.running
    identity = process.identity
    assert identity is not None
    process.stop()
    assert not is_running(identity)
    assert process.identity is None


def test_second_start_is_refused(process: Process) -> None:
    process.launch(Launch(FOREVER))
    with pytest.raises(ServerError, match="sleeper is already running"):
        process.launch(Launch(FOREVER))


def test_program_that_does_not_exist_is_named(process: Process) -> None:
    with pytest.raises(ServerError, match=r"sleeper cannot be started: No such file or directory \(/nowhere/at-all\)"):
        process.launch(Launch(["/nowhere/at-all"]))


def test_process_that_does_not_get_ready_is_stopped_and_its_last_line_reported(process: Process) -> None:
    process.launch(Launch([sys.executable, "-c", "import time; print('half way', flush=True); time.sleep(600)"]))
    identity = process.identity
    assert identity is not None
    with pytest.raises(ServerError, match="did not answer within 1 s: half way"):
        process.wait_until(lambda: False, seconds=1)
    assert session_members(identity) == []


def test_process_that_ends_during_its_start_is_reported(process: Process) -> None:
    process.launch(Launch([sys.executable, "-c", "raise SystemExit('no such option')"]))
    with pytest.raises(ServerError, match="ended during its start: no such option"):
        process.wait_until(lambda: False, seconds=30)
