"""Runs the programs of the set-up, logs their output, and reports a failure in one line."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.toolchain.errors import SetupError
from tools.toolchain.paths import LOGS

_COMPLAINTS = ("E: ", "W: ", "ERROR: ", "npm error ")


def run_logged(
    name: str,
    arguments: Sequence[str | Path],
    *,
    remedy: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Run a program, and call `tick` four times per second until it ends.

    Raises SetupError with the program's last error line and the path of its log.
    """
    log = log_file(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = _start(arguments, cwd=cwd, env=env, output=output.fileno())
        try:
            _wait(process, tick)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode != 0:
        raise SetupError(f"{name} failed: {error_line(log)}", f"log {log}", remedy)


def log_file(name: str) -> Path:
    """Return the log of the last `run_logged` of that name."""
    return LOGS / f"{name}.log"


def capture(arguments: Sequence[str | Path], *, remedy: str) -> str:
    """Run a program and return its standard output. Raises SetupError if it fails."""
    try:
        result = subprocess.run(arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise SetupError(f"{arguments[0]} cannot be started: {error.strerror}", "PATH", remedy) from None
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise SetupError(lines[-1], str(arguments[0]), remedy)
    return result.stdout


def error_line(log: Path) -> str:
    """Return the first error line of apt, pip or npm; without one, the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    # npm writes a code first and advice last; the cause is in between.
    complaints = [line for line in lines if line.startswith(_COMPLAINTS) and not line.startswith("npm error code")]
    return [*complaints, *lines[-1:], "no output"][0]


def _start(
    arguments: Sequence[str | Path], *, cwd: Path | None, env: Mapping[str, str] | None, output: int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            arguments, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise SetupError(f"{arguments[0]} cannot be started: {error.strerror}", "PATH", "install it") from None


def _wait(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> None:
    while True:
        try:
            process.wait(timeout=0.25)
        except subprocess.TimeoutExpired:
            tick()
        else:
            return
