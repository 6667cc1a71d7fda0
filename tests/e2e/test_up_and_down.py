"""No process of the demo stays, regardless of how it was started and stopped."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from demo.paths import CHECKOUT
from tests.e2e.conftest import DOWN_SECONDS, PATHS, UP_SECONDS, demo_processes, run_demo

INTERFACE = ("PG_DSN", "REDIS_URL", "S3_URL", "PROMETHEUS_URL", "ALERTMANAGER_URL", "EXPORTER_URL", "REMEDIATOR_URL")
TOKENS = ("WEBHOOK_TOKEN_FILE", "OPERATOR_TOKEN_FILE", "OPERATOR_PASSWORD_FILE")


@pytest.fixture(autouse=True)
def _down_at_the_end() -> object:
    yield
    run_demo("down", seconds=DOWN_SECONDS)


def test_down_leaves_nothing_and_can_be_repeated() -> None:
    before = demo_processes()
    assert run_demo("up", seconds=UP_SECONDS).code == 0
    lines = dict(line.split("=", 1) for line in PATHS.env.read_text().splitlines())
    assert list(lines) == [*INTERFACE, *TOKENS]
    assert stat.S_IMODE(PATHS.env.stat().st_mode) == 0o600
    assert len(demo_processes()) >= 10

    second = run_demo("up", seconds=UP_SECONDS)
    assert second.code == 1
    assert "the demo is already running" in second.output

    assert run_demo("down", seconds=DOWN_SECONDS).code == 0
    assert demo_processes() == before
    assert not PATHS.env.exists()
    assert not PATHS.secrets.exists()
    assert run_demo("down", seconds=DOWN_SECONDS).code == 0


@pytest.mark.parametrize("after_seconds", [0.8, 2.0, 3.5])
def test_down_cleans_up_after_a_killed_start(after_seconds: float) -> None:
    starter = subprocess.Popen([sys.executable, "-m", "demo", "up"], cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    time.sleep(after_seconds)
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    answer = run_demo("down", seconds=DOWN_SECONDS)
    assert answer.code == 0, answer.output
    assert demo_processes() == {}


def test_ctrl_c_stops_every_process() -> None:
    # The test runner may ignore SIGINT, which children inherit.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "demo", "run"]
    starter = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + UP_SECONDS
    while not list(PATHS.incidents.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    starter.send_signal(signal.SIGINT)
    assert starter.wait(DOWN_SECONDS) == 130
    assert demo_processes() == {}


def test_unknown_incident_is_reported_with_the_known_ones() -> None:
    answer = run_demo("incident", "meteor", seconds=UP_SECONDS)
    assert answer.code == 1
    assert answer.output.strip() == (
        "demo: unknown incident 'meteor'; choose one of: idle_transactions, failed_jobs, old_backup,"
        " too_many_sessions, runaway_report, leaking_service, unverified_backup, unrestored_backup,"
        " dead_letters, stale_cache, locked_out_user, abusive_address, paused_queue, old_files"
    )


def test_incident_without_a_running_demo_names_the_command_to_start_it() -> None:
    answer = run_demo("incident", "failed_jobs", seconds=UP_SECONDS)
    assert answer.code == 1
    assert answer.output.strip() == "demo: the demo is not running; start it with `make demo-up`"
