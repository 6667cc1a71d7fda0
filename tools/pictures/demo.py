"""Brings the demo to the moments of the pictures, with the demo's own commands."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tools.pictures.remediator import Remediator
from tools.toolchain.errors import SetupError
from tools.toolchain.paths import ROOT, launcher

SCRAPE_SECONDS = 2
_ENV = ROOT / ".demo" / "env"
_HOSTS = ROOT / ".demo" / "config" / "hosts.yml"
_FIRING = 'ALERTS{alertstate="firing"}'
_MINUTES_OF_HISTORY = 6
_WAIT_SECONDS = 180
_INCIDENTS = ("too_many_sessions", "failed_jobs")
# The lines of an incident are as wide as a thumbnail after this time, and its notifications are sent.
_INCIDENT_SECONDS = 40


@dataclass(frozen=True)
class RunningDemo:
    """A demo that answers, and whether these pictures started it."""

    prometheus: str
    remediator: Remediator
    started_here: bool

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        query = urlencode({"query": expr})
        with urlopen(f"{self.prometheus}/api/v1/query?{query}", timeout=10) as answer:  # noqa: S310 - loopback
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def started(self) -> float:
        """Return when Prometheus had its first sample, in seconds since 1970."""
        first = self.ask("min(min_over_time(timestamp(up)[1h:15s]))")
        return float(first[0]["value"][1])


@contextmanager
def measured_host() -> Iterator[None]:
    """Run a node_exporter, which the demo's Prometheus scrapes as a host of its stack."""
    port = _free_port()
    program = [str(launcher("node_exporter", "pictures")), f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    target = {"targets": [f"127.0.0.1:{port}"], "labels": {"stack": "shop", "instance": "shop-1"}}
    try:
        _HOSTS.write_text(json.dumps([target]), encoding="utf-8")
        yield
    finally:
        _HOSTS.unlink(missing_ok=True)
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def start_demo() -> RunningDemo:
    """Return the running demo, or start one. Raises SetupError if it does not start."""
    started_here = not _ENV.exists()
    if started_here:
        _run("up")
    addresses = dict(line.split("=", 1) for line in _ENV.read_text().splitlines())
    token = Path(addresses["OPERATOR_TOKEN_FILE"]).read_text(encoding="utf-8").strip()
    return RunningDemo(addresses["PROMETHEUS_URL"], Remediator(addresses["REMEDIATOR_URL"], token), started_here)


def stop_demo(demo: RunningDemo) -> None:
    """Stop the demo if these pictures started it."""
    if demo.started_here:
        _run("down")


async def reach_well(demo: RunningDemo) -> None:
    """Wait until the loop's incidents are repaired, a deploy is reported, and the graphs have some minutes.

    Raises SetupError if an alert keeps firing.
    """
    if demo.started_here:
        _run("loop")
        _run("incident", "unrestored_backup")
        demo.remediator.post("/api/v1/deploys", {"stack": "shop", "version": "1.4.2", "state": "done"})
    await asyncio.sleep(max(0.0, demo.started() + _MINUTES_OF_HISTORY * 60 - time.time()))
    await _wait(lambda: not demo.ask(_FIRING), "an alert keeps firing; look at it with make demo-up")


async def reach_incident(demo: RunningDemo) -> None:
    """Inject incidents, and wait until they fire. Raises SetupError if none does."""
    for name in _INCIDENTS:
        _run("incident", name)
    await _wait(lambda: bool(demo.ask(_FIRING)), "no alert fires after the incidents; look with make demo-up")
    await asyncio.sleep(_INCIDENT_SECONDS)


async def _wait(done: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise SetupError(f"no picture after {_WAIT_SECONDS} s: {problem}", "demo", "run make pictures again")
        await asyncio.sleep(2)


def _run(*arguments: str) -> None:
    command = [sys.executable, "-m", "demo", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise SetupError(f"demo {' '.join(arguments)} failed", "demo", "run make demo-down, then make pictures")
