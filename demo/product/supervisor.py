"""Runs one service, records its state, and restarts it on SIGHUP: a small service manager for the demo.

It does not restart a service that has ended: that is the incident.
"""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import typer

POLL_SECONDS = 0.2
END_SECONDS = 5.0
STATE_FILE = "state.json"


class Supervisor:
    """One service as a child process."""

    def __init__(self, folder: Path, port: int) -> None:
        self._command = [sys.executable, "-m", "demo.product.leaking_service", str(port)]
        self._file, self._restarts = folder / STATE_FILE, -1
        self.must_restart, self.must_end = True, False

    def run(self) -> None:
        """Run the service until SIGTERM."""
        while not self.must_end:
            if self.must_restart:
                self._start()
            self._record("running" if self._service.poll() is None else "failed")
            time.sleep(POLL_SECONDS)
        self._stop()

    def _start(self) -> None:
        self.must_restart = False
        if self._restarts >= 0:
            self._stop()
        self._service = subprocess.Popen(self._command)
        self._started, self._restarts = datetime.now(UTC), self._restarts + 1

    def _stop(self) -> None:
        self._service.terminate()
        try:
            self._service.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._service.kill()
            self._service.wait()

    def _record(self, state: str) -> None:
        facts = {"state": state, "started": self._started.isoformat(), "pid": self._service.pid}
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps({**facts, "restarts": self._restarts}), encoding="utf-8")
        temporary.replace(self._file)


def main(folder: Path, port: int) -> None:
    """Run the service on PORT, and keep its state and this process's number in FOLDER."""
    supervisor = Supervisor(folder, port)
    signal.signal(signal.SIGHUP, lambda *_: setattr(supervisor, "must_restart", True))
    signal.signal(signal.SIGTERM, lambda *_: setattr(supervisor, "must_end", True))
    (folder / "supervisor.number").write_text(str(os.getpid()), encoding="ascii")
    supervisor.run()


if __name__ == "__main__":
    typer.run(main)
