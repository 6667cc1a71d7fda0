"""The common base of all servers: a folder, a port, start, stop, remove."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM, Signals

from demo.servers.errors import ServerError
from demo.servers.ports import free_port, is_free
from demo.servers.process import Launch, Process, remove_folder


class Server(ABC):
    """A server on 127.0.0.1, with all its files in its own `folder`.

    The object is only a handle: another process can stop the server with a handle of the same folder and port.
    """

    name: str
    stop_signal: Signals = SIGTERM

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = free_port() if port is None else port
        self.process = Process(folder, self.name)

    def launch(self) -> None:
        """Prepare the folder and start the process without waiting for it. Raises ServerError."""
        if not self.process.running and not is_free(self.port):
            # Otherwise the other server might answer the readiness check.
            raise ServerError(f"port {self.port} is in use", f"127.0.0.1, for {self.name}", "choose another port")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process.launch(self.prepare())

    def wait(self) -> None:
        """Wait until it answers. Raises ServerError if it ends or does not answer in time."""
        self.process.wait_until(self.answers)

    def start(self) -> None:
        """Launch it and wait until it answers."""
        self.launch()
        self.wait()

    def stop(self) -> None:
        """Stop it with all its children. Its data stay; `start` restarts it on the same port."""
        self.process.stop(self.stop_signal)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        remove_folder(self.folder)

    @abstractmethod
    def prepare(self) -> Launch:
        """Write the files that the process needs, and return how to start it."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server serves requests; do not raise if it is not ready."""


def start_together(servers: Sequence[Server]) -> None:
    """Start several servers in parallel. Raises ServerError after stopping all of them."""
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
    except BaseException:
        for server in servers:
            server.stop()
        raise
