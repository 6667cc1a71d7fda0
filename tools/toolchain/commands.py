"""Runs the programs of the set-up, with their output in a log file and one clear line when they fail."""

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
    """Runs a program to its end; `tick` is called four times a second meanwhile.

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
    """Where `run_logged` keeps the output of the last run of that name."""
    return LOGS / f"{name}.log"


def capture(arguments: Sequence[str | Path], *, remedy: str) -> str:
    """What a program writes to its standard output. Raises SetupError when it fails."""
    try:
        result = subprocess.run(arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise SetupError(f"{arguments[0]} cannot be started: {error.strerror}", "PATH", remedy) from None
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise SetupError(lines[-1], str(arguments[0]), remedy)
    return result.stdout


def error_line(log: Path) -> str:
    """The first line in which apt, pip or npm says what went wrong; without one the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    # npm begins with a code and ends with advice; what happened stands between.
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
