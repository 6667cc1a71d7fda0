"""What all servers have in common: a folder, a port, start, stop, remove."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM, Signals

from demo.servers.errors import ServerError
from demo.servers.ports import free_port, is_free
from demo.servers.process import Launch, Process, remove_folder


class Server(ABC):
    """A server on 127.0.0.1. `folder` is its own: it holds configuration, data, log and the record of the process.

    A server object is a handle, not the server: one with the same folder and port, made in another process, can stop
    it there.
    """

    name: str
    stop_signal: Signals = SIGTERM

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = free_port() if port is None else port
        self.process = Process(folder, self.name)

    def launch(self) -> None:
        """Prepares the folder and starts the process, without waiting for it. Raises ServerError."""
        if not self.process.running and not is_free(self.port):
            # Asked whether it serves, the other one might answer in its place.
            raise ServerError(f"port {self.port} is taken", f"127.0.0.1, for {self.name}", "choose another port")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process.launch(self.prepare())

    def wait(self) -> None:
        """Returns once it answers. Raises ServerError when it ends or does not answer in time."""
        self.process.wait_until(self.answers)

    def start(self) -> None:
        """`launch` and `wait`."""
        self.launch()
        self.wait()

    def stop(self) -> None:
        """Ends it with all its children; its data stay, `start` brings it back on the same port."""
        self.process.stop(self.stop_signal)

    def remove(self) -> None:
        """Ends it and deletes its folder."""
        self.stop()
        remove_folder(self.folder)

    @abstractmethod
    def prepare(self) -> Launch:
        """Writes what the process needs and says how to start it."""

    @abstractmethod
    def answers(self) -> bool:
        """Asks the server itself, over the network, whether it serves. Never raises for a server that does not yet."""


def start_together(servers: Sequence[Server]) -> None:
    """Starts several at once: they load side by side. Raises ServerError; what had started by then is stopped."""
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
    except BaseException:
        for server in servers:
            server.stop()
        raise
