"""A private pgbouncer in front of a private PostgreSQL."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from signal import SIGHUP, SIGINT

from demo.servers.postgres import PostgresServer
from demo.servers.proc import send
from demo.servers.process import Launch
from demo.servers.server import Server
from demo.servers.unprivileged import find_place, leave_place
from tools.toolchain.paths import DEBIAN_POSTGRES, postgres_packages

# The users file contains plain passwords: pgbouncer needs them to log in to PostgreSQL by SCRAM.
_CONFIGURATION = """\
[databases]
* = host=127.0.0.1 port={upstream}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
{settings}"""
_SETTINGS = {"pool_mode": "transaction", "max_client_conn": "100", "default_pool_size": "5"}


class PgBouncerServer(Server):
    """pgbouncer for the databases of `postgres`, with its roles as of the last reload.

    `settings` override the defaults (transaction mode, 5 connections per pool), by pgbouncer's names.
    """

    name = "pgbouncer"
    # Stops at once: SIGTERM would wait until the clients disconnect.
    stop_signal = SIGINT

    def __init__(
        self,
        folder: Path,
        postgres: PostgresServer,
        port: int | None = None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, port)
        self.postgres = postgres
        self._settings = {**_SETTINGS, **(settings or {})}

    def dsn(self, role: str = "postgres", database: str = "postgres") -> str:
        """Return the DSN of `role` through the pooler. Raises ServerError for unknown roles."""
        return f"postgresql://{role}:{self.postgres.password(role)}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> Launch:
        """Write the configuration; run as PostgreSQL does, since both refuse root."""
        place = find_place(self.folder, postgres_packages(DEBIAN_POSTGRES))
        place.data.mkdir(exist_ok=True, mode=0o700)
        place.own(place.data)
        configuration = place.data / "pgbouncer.ini"
        settings = "".join(f"{name} = {value}\n" for name, value in self._settings.items())
        configuration.write_text(
            _CONFIGURATION.format(upstream=self.postgres.port, port=self.port, folder=place.data, settings=settings)
        )
        self._write_users(place.data / "users.txt")
        place.own(configuration, place.data / "users.txt")
        command = place.command("pgbouncer", configuration)
        return Launch(command, env={**os.environ, "TZ": "UTC"}, cwd=Path("/"), user=place.user)

    def reload(self) -> None:
        """Make roles known that were added since; pgbouncer needs a moment for it."""
        self._write_users(find_place(self.folder, postgres_packages(DEBIAN_POSTGRES)).data / "users.txt")
        identity = self.process.identity
        if identity is not None:
            send(identity, SIGHUP)

    def answers(self) -> bool:
        """Return whether the superuser can query through the pooler."""
        with suppress(OSError):
            return self.postgres.answers_at(self.port)
        return False

    def remove(self) -> None:
        """Stop it and delete its folder, including a temporary one."""
        self.stop()
        leave_place(self.folder)
        super().remove()

    def _write_users(self, file: Path) -> None:
        file.touch(mode=0o600)
        roles = self.postgres.roles()
        file.write_text("".join(f'"{role}" "{self.postgres.password(role)}"\n' for role in roles))
