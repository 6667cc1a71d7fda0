"""One replica: a remediator in a process of its own, with its own proxies, clock and log."""

import os
import resource
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from demo.installation import Installation
from demo.launch import Program
from demo.servers.ports import free_port
from demo.servers.proc import ProcessIdentity, send
from soak.proxy import Proxy

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where libfaketime leaves the files of a killed process


class Replica:
    """A replica on its own port; the ledger and its webhook are reached through proxies only."""

    def __init__(
        self,
        number: int,
        folder: Path,
        ledger: Proxy,
        arguments: list[str],
        faketime: Path | None,
        installation: Installation,
    ) -> None:
        self.number, self.folder = number, folder
        self.port = free_port()
        self.ledger, self.webhook = ledger, Proxy(self.port)
        self.restarts, self._is_wanted = 0, False
        self._pids: set[int] = set()
        self._lock = threading.Lock()  # a fault may start the process just when the service manager does
        self._clock = folder / "clock" if faketime is not None else None
        flags = ["--web.listen-address", f"127.0.0.1:{self.port}", *arguments]
        variables = self._faketime_variables(faketime)
        launch = installation.launch("runbook-remediator", *flags, cwd=folder, variables=variables)
        self.program = Program(folder, self.port, launch, "/-/healthy")
        self.set_clock(0)

    @property
    def url(self) -> str:
        """Its address, without a proxy."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def identity(self) -> ProcessIdentity | None:
        """Its process, if it was started."""
        return self.program.process.identity

    def launch(self) -> None:
        """Start its process, without waiting until it answers."""
        with self._lock:
            self._is_wanted = True
            if not self.program.process.running:
                self._start()

    def keep_running(self) -> None:
        """Start its process again if it has ended by itself, as a service manager does."""
        with self._lock:
            if self._is_wanted and not self.program.process.running:
                self.restarts += 1
                self._start()

    def end(self, how: signal.Signals) -> None:
        """End its process, and remove what libfaketime has left of all its processes."""
        with self._lock:
            self._is_wanted = False
            self.program.process.stop(how)
        for pid in self._pids if self._clock is not None else ():
            for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
                (_SHARED_MEMORY / name).unlink(missing_ok=True)

    def send(self, number: signal.Signals) -> None:
        """Signal its process, if it runs."""
        if (identity := self.identity) is not None:
            send(identity, number)

    def limit_files(self, size: int) -> None:
        """Let no file that it writes grow beyond `size` bytes, as on a full disk; RLIM_INFINITY ends that."""
        if (identity := self.identity) is not None:
            with suppress(ProcessLookupError):
                resource.prlimit(identity.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def set_clock(self, offset: int) -> None:
        """Step its wall clock to `offset` seconds from the true time; its monotonic clock stays."""
        if self._clock is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self._clock.with_suffix(".new")
            partial.write_text(f"{offset:+d}\n", encoding="ascii")
            partial.replace(self._clock)

    def _start(self) -> None:
        self.program.launch()
        if (identity := self.identity) is not None:
            self._pids.add(identity.pid)

    def _faketime_variables(self, library: Path | None) -> Mapping[str, str]:
        if library is None:
            return {}
        return {
            "LD_PRELOAD": os.pathsep.join(filter(None, (str(library), os.environ.get("LD_PRELOAD")))),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
