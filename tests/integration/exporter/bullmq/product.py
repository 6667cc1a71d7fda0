"""A product that runs a test's commands on its queue."""

import json
import subprocess
from pathlib import Path
from typing import Any

from demo.servers.node import node_environment
from tools.toolchain.paths import node_program


class Product:
    """A Node process that runs commands with BullMQ."""

    def __init__(self, port: int, version: int) -> None:
        self._process = subprocess.Popen(
            [node_program(), Path(__file__).parent / "driver.cjs", str(port)],
            env=node_environment(version, None),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n"

    def do(self, step: dict[str, Any]) -> list[str]:
        self._process.stdin.write(json.dumps(step) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())["jobs"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
