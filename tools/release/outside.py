"""Runs a command as an installation runs it: what Python imports does not come from the checkout."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_outside(
    command: Sequence[str | Path], cwd: Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command without PYTHONPATH and with further `variables`; return its status and its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=cwd, env={**environment, **(variables or {})}, capture_output=True, text=True, check=False
    )
