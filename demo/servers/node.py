"""Runs Node scripts with a chosen major version of BullMQ.

Scripts are CommonJS, in any folder; they load BullMQ with `require(process.env.BULLMQ)`, the Redis client with
`require('ioredis')`.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.servers.errors import ServerError
from demo.servers.process import START_SECONDS, Launch, Process
from tools.toolchain.paths import NODE_MODULES, node_program

BULLMQ_MAJORS = (3, 4, 5, 6)


def run_node(
    script: Path,
    arguments: Sequence[str] = (),
    *,
    bullmq: int = 6,
    env: Mapping[str, str] | None = None,
    seconds: float = 30,
) -> str:
    """Run a script and return its output. Raises ServerError if it fails or takes too long."""
    remedy = "fix the script"
    try:
        result = subprocess.run(
            [node_program(), script, *arguments],
            env=node_environment(bullmq, env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServerError(f"the script did not end within {seconds:.0f} s", str(script), remedy) from None
    if result.returncode != 0:
        raise ServerError(f"the script failed: {result.stderr.strip()}", str(script), remedy)
    return result.stdout


class NodeProcess:
    """A long-running script, such as a worker. It has started once it prints the line `ready`."""

    def __init__(self, folder: Path, name: str, script: Path, *, bullmq: int = 6) -> None:
        self.script = script
        self.bullmq = bullmq
        self.process = Process(folder, name)

    def start(
        self, arguments: Sequence[str] = (), *, env: Mapping[str, str] | None = None, seconds: float = START_SECONDS
    ) -> None:
        """Start the script. Raises ServerError if it ends or does not print `ready` in time."""
        # A restart appends to the log: ignore earlier lines.
        log_size = self.process.log.stat().st_size if self.process.log.exists() else 0
        self.process.launch(Launch([node_program(), self.script, *arguments], env=node_environment(self.bullmq, env)))
        self.process.wait_until(lambda: "ready" in self._written_since(log_size), seconds)

    def stop(self) -> None:
        """Send SIGTERM, on which a worker closes its queues; kill the remaining processes."""
        self.process.stop()

    def _written_since(self, offset: int) -> list[str]:
        with self.process.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace").splitlines()


def node_environment(bullmq: int, extra: Mapping[str, str] | None) -> dict[str, str]:
    """Return the environment of a script that uses this major version of BullMQ."""
    if bullmq not in BULLMQ_MAJORS:
        raise ValueError(f"unknown BullMQ version {bullmq}; choose one of {', '.join(map(str, BULLMQ_MAJORS))}")
    return {**os.environ, "NODE_PATH": str(NODE_MODULES), "BULLMQ": f"bullmq{bullmq}", **(extra or {})}
