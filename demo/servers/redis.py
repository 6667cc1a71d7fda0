"""A private Redis, or Valkey."""

import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from demo.servers.process import Launch
from demo.servers.server import Server
from tools.toolchain.paths import launcher

# Program and package group per version; Debian's own is 7.0.
_PROGRAMS: dict[str, tuple[str, str]] = {
    "7.0": ("redis-server", "servers"),
    "6.2": ("redis-server", "wheels/redis62"),
    "valkey": ("valkey-server", "valkey"),
}
_CONFIGURATION = """\
bind 127.0.0.1
port {port}
dir "{folder}"
save ""
appendonly no
daemonize no
"""


class RedisServer(Server):
    """Redis without persistence, with one password, none, or the users of an ACL file.

    With an ACL file, set the default user's password there: Redis then ignores `requirepass`. `version` is 7.0, 6.2 or
    valkey (8). Raises SetupError if that version was not fetched.
    """

    name = "redis"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        password: str | None = None,
        acl: Path | None = None,
        version: str = "7.0",
    ) -> None:
        super().__init__(folder, port)
        self._program = launcher(*_PROGRAMS[version])
        self._password = password
        self._acl = acl

    def url(self, user: str = "", password: str | None = None, database: int = 0) -> str:
        """Return the URL for `user`; by default for the default user with the server's password."""
        secret = password if password is not None else self._password
        credentials = f"{quote(user, safe='')}:{quote(secret, safe='')}@" if secret is not None else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/{database}"

    def prepare(self) -> Launch:
        """Write redis.conf, readable by its owner only: it may contain the password."""
        configuration = self.folder / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text("".join(self._lines()))
        return Launch([self._program, configuration], cwd=self.folder)

    def flush(self) -> None:
        """Delete the keys of all databases. Raises OSError if the server refuses."""
        login = f"AUTH {self._password}\r\n" if self._password is not None else ""
        reply = self._ask(f"{login}FLUSHALL\r\n")
        if b"-" in {line[:1] for line in reply.splitlines()}:
            raise OSError(f"Redis refused FLUSHALL: {reply.decode(errors='replace').strip()}")

    def answers(self) -> bool:
        """Return whether PING gets an answer; a demand for a password is one, too."""
        with suppress(OSError):
            return self._ask("PING\r\n").startswith((b"+PONG", b"-NOAUTH"))
        return False

    def _ask(self, commands: str) -> bytes:
        """Send inline commands and QUIT, and return all replies."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(f"{commands}QUIT\r\n".encode())
            return b"".join(iter(lambda: connection.recv(4096), b""))

    def _lines(self) -> list[str]:
        lines = [_CONFIGURATION.format(port=self.port, folder=self.folder)]
        if self._acl is not None:
            lines.append(f'aclfile "{self._acl}"\n')
        elif self._password is not None:
            lines.append(f'requirepass "{self._password}"\n')
        return lines
