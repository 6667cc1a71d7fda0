"""A server process in its own session, with a record in its folder."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from demo.servers.errors import ServerError
from demo.servers.proc import ProcessIdentity, descendants, identify, is_running, send, session_members

START_SECONDS = 30.0
STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02
# Children of this process, by number: any handle may stop a child, which must then be reaped.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Launch:
    """The start of a process. `user` is the uid and gid to drop to; None keeps the caller's."""

    arguments: Sequence[str | Path]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    user: int | None = None


class Process:
    """A process that is identified by folder and name; any handle with both can stop it.

    The folder has `NAME.pid` (the process identity as JSON) and `NAME.log` (the output).
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name

    @property
    def log(self) -> Path:
        """The log of standard output and standard error; a restart appends."""
        return self.folder / f"{self.name}.log"

    @property
    def identity(self) -> ProcessIdentity | None:
        """The last started process; None before the first start and after a stop."""
        try:
            return ProcessIdentity(**json.loads(self._record.read_text()))
        except FileNotFoundError:
            return None

    @property
    def running(self) -> bool:
        """Whether the recorded process is alive."""
        identity = self.identity
        return identity is not None and is_running(identity)

    def launch(self, launch: Launch) -> None:
        """Start the process without waiting. Raises ServerError if it runs or cannot be executed."""
        if self.running:
            raise ServerError(f"{self.name} is already running", str(self.folder), "stop it first")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with self.log.open("ab") as output:
                child = _start(launch, output.fileno())
        except OSError as error:
            raise ServerError(
                f"{self.name} cannot be started: {error.strerror}", str(launch.arguments[0]), "run make setup"
            ) from None
        _children[child.pid] = child
        self._write_record(identify(child.pid))

    def wait_until(self, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Wait until `ready` returns true.

        If the process ends or the time is up, stop it and raise ServerError with the log's last line.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                self._give_up("ended during its start")
            if time.monotonic() > deadline:
                self._give_up(f"did not answer within {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = STOP_SECONDS) -> None:
        """Signal the process to end, then kill the rest of its session and its children."""
        identity = self.identity
        if identity is None:
            return
        children = descendants(identity)
        send(identity, how)
        self._wait_for_end(identity, seconds)
        self._kill(identity, {*children, *descendants(identity)})
        self._record.unlink(missing_ok=True)

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def _write_record(self, identity: ProcessIdentity) -> None:
        partial = self._record.with_suffix(".pid.partial")
        partial.write_text(json.dumps(asdict(identity)))
        partial.replace(self._record)

    def _give_up(self, what: str) -> None:
        self.stop()
        raise ServerError(
            f"{self.name} {what}: {last_line(self.log)}", f"log {self.log}", "fix the cause and start again"
        )

    def _wait_for_end(self, identity: ProcessIdentity, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while is_running(identity) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        _reap(identity.pid)

    def _kill(self, leader: ProcessIdentity, children: set[ProcessIdentity]) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while remaining := {*session_members(leader), *filter(is_running, children)}:
            for each in remaining:
                send(each, signal.SIGKILL)
            _reap(leader.pid)
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.name} cannot be killed", f"process {remaining.pop().pid}", "check its state with ps"
                )
            time.sleep(_POLL_SECONDS)


def remove_folder(folder: Path) -> None:
    """Delete the files of a stopped server."""
    shutil.rmtree(folder, ignore_errors=True)


def last_line(log: Path) -> str:
    """Return the last line of a log, for an error message."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "no output"


def _reap(pid: int) -> None:
    """Reap a child of this process, which would otherwise stay a zombie."""
    child = _children.get(pid)
    if child is not None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=0.5)
            del _children[pid]


def _start(launch: Launch, output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(argument) for argument in launch.arguments],
        env=launch.env,
        cwd=launch.cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=launch.user,
        group=launch.user,
        extra_groups=None if launch.user is None else [],
    )
