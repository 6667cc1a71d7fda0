"""Reads what a process holds open: files by name, connections by their other end."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

CLIENT = "client"
_LISTENING = "listening"


class OpenFiles:
    """Reads what the process `pid` holds open. `port` is its own: connections to it are those of its clients.

    `servers` names the ports that it connects to.

    The kernel's table of connections changes while it is read, so one reading can miss a row or have it twice: what
    earlier readings said about a socket stays known.
    """

    def __init__(self, pid: int, port: int, servers: Mapping[int, str]) -> None:
        self._process, self._port, self._servers = Path("/proc") / str(pid), port, servers
        self._connections: dict[str, str] = {}

    def count(self) -> Counter[str]:
        """Count the open files by name; a connection is called `CLIENT`, or as `connection_to` its server."""
        self._connections.update(self._read_connections())
        return Counter(self._connections.get(file, file) for file in self._files())

    def _files(self) -> Iterator[str]:
        for file in (self._process / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                yield str(file.readlink())

    def _read_connections(self) -> Iterator[tuple[str, str]]:
        for line in (self._process / "net" / "tcp").read_text().splitlines()[1:]:
            row = line.split()
            local, remote, inode = row[1], row[2], row[9]
            yield f"socket:[{inode}]", self._name(_port(local), _port(remote))

    def _name(self, local: int, remote: int) -> str:
        if remote == 0:
            return _LISTENING
        return CLIENT if local == self._port else connection_to(self._servers.get(remote, f"port {remote}"))


def connection_to(server: str) -> str:
    """Return the name of the connections to a server."""
    return f"connection to {server}"


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
