"""A private PostgreSQL: Debian's 15 with pg_stat_statements, or 16 or 18 without."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from signal import SIGINT

from demo.servers.errors import ServerError
from demo.servers.process import Launch
from demo.servers.server import Server
from demo.servers.unprivileged import Place, find_place, leave_place
from tools.toolchain.paths import DEBIAN_POSTGRES, TOOLS, launcher, postgres_packages
from tools.toolchain.stamps import digest

SUPERUSER = "postgres"

# No durability: the data live only as long as the demo. No socket file: its path would be too long in a deep checkout.
# Shared memory in files of the cluster's folder: a killed server then leaves nothing in /dev/shm.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "64MB",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
# Only Debian's packages contain it.
_STATEMENTS = {"shared_preload_libraries": "pg_stat_statements"}
# The cluster never runs with "trust": its access rules (below) are written before its first start.
_INITDB = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", f"--username={SUPERUSER}")
_ACCESS = """\
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""


class PostgresServer(Server):
    """A cluster in `folder`. All roles, also the superuser, log in over TCP with a password.

    `version` is the major version: 15, 16 or 18. `settings` override the defaults, by PostgreSQL's names.
    """

    name = "postgres"
    # "Fast" shutdown: SIGTERM would wait until the clients disconnect.
    stop_signal = SIGINT

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        version: int = DEBIAN_POSTGRES,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, port)
        self.version = version
        contrib = _STATEMENTS if version == DEBIAN_POSTGRES else {}
        self._settings = {**_SETTINGS, **contrib, **(settings or {}), "port": str(self.port)}

    def dsn(self, role: str = SUPERUSER, database: str = "postgres") -> str:
        """Return the DSN of `role` with its password. Raises ServerError for unknown roles."""
        return f"postgresql://{role}:{self.password(role)}@127.0.0.1:{self.port}/{database}"

    def sql(self, statements: str, *, role: str = SUPERUSER, database: str = "postgres") -> str:
        """Run statements until the first error; return one line per row, with | between columns."""
        result = self._psql(statements, role, database)
        if result.returncode != 0:
            raise ServerError(result.stderr.strip(), f"database {database}", "fix the statement")
        return result.stdout.strip()

    def add_role(self, name: str, options: str = "") -> None:
        """Create a login role with a new password; `options` are those of CREATE ROLE."""
        password = secrets.token_hex(16)
        # By default the server logs a failed statement, including the password.
        self.sql(
            f"SET log_min_error_statement = panic;CREATE ROLE {_identifier(name)} LOGIN PASSWORD '{password}' {options}"
        )
        self._save_password(name, password)

    def add_database(self, name: str, owner: str = SUPERUSER) -> None:
        """Create an empty database."""
        self.sql(f"CREATE DATABASE {_identifier(name)} OWNER {_identifier(owner)} TEMPLATE template0")

    def drop_database(self, name: str) -> None:
        """Terminate the sessions of a database and drop it."""
        self.sql(f"DROP DATABASE IF EXISTS {_identifier(name)} WITH (FORCE)")

    def place(self) -> Place:
        """Return how and where the server runs, and the place of its data."""
        return find_place(self.folder, postgres_packages(self.version))

    def prepare(self) -> Launch:
        """Create the cluster at the first start, and write its settings."""
        place = self.place()
        if not place.data.exists():
            self.make_cluster(place)
        configuration = place.data / "launcher.conf"
        settings = {**self._settings, **self.more_settings()}
        configuration.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        place.own(configuration)
        return Launch(
            place.command("postgres", "-D", place.data), env={**os.environ, "TZ": "UTC"}, cwd=Path("/"), user=place.user
        )

    def answers(self) -> bool:
        """Return whether the superuser can query."""
        return self.answers_at(self.port)

    def answers_at(self, port: int, role: str = SUPERUSER) -> bool:
        """Return whether `role` can query through another port of 127.0.0.1, such as a pooler's."""
        return self._psql("SELECT 1", role, "postgres", port).returncode == 0

    def remove(self) -> None:
        """Stop it and delete its folder, including a temporary one."""
        self.stop()
        leave_place(self.folder)
        super().remove()

    def more_settings(self) -> Mapping[str, str]:
        """Return the settings that are known only at the start."""
        return {}

    def make_cluster(self, place: Place) -> None:
        """Create the cluster, which gets its name once the superuser's password is set."""
        partial = partial_place(place)
        template = TOOLS / "templates" / f"postgres-{digest(str(self.version), *_INITDB, _ACCESS)[:12]}"
        if template.exists():
            shutil.copytree(template, partial.data)
            partial.own_all(partial.data)
        else:
            _initialize(partial, template)
        password = secrets.token_hex(16)
        partial.run("postgres", "--single", "-F", "-D", partial.data, "postgres", text=_set_password(password))
        self._save_password(SUPERUSER, password)
        partial.data.rename(place.data)

    def _psql(
        self, statements: str, role: str, database: str, port: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        login = {"PGHOST": "127.0.0.1", "PGPORT": str(port or self.port), "PGUSER": role, "PGDATABASE": database}
        return subprocess.run(
            [launcher("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            input=statements,
            env={**os.environ, **login, "PGPASSWORD": self.password(role), "PGCONNECT_TIMEOUT": "5"},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def _secrets(self) -> Path:
        return self.folder / "passwords.json"

    def roles(self) -> list[str]:
        """Return the roles whose passwords are known."""
        return sorted(json.loads(self._secrets.read_text()))

    def password(self, role: str) -> str:
        """Return the password of `role`. Raises ServerError for unknown roles."""
        with suppress(FileNotFoundError, KeyError):
            password: str = json.loads(self._secrets.read_text())[role]
            return password
        raise ServerError(f"no password for role {role}", str(self._secrets), "create the role with add_role")

    def _save_password(self, role: str, password: str) -> None:
        self._secrets.touch(mode=0o600)
        passwords = json.loads(self._secrets.read_text() or "{}")
        self._secrets.write_text(json.dumps({**passwords, role: password}))


def partial_place(place: Place) -> Place:
    """Return an empty place, for a cluster that is renamed to `place` once it is complete."""
    partial = replace(place, data=place.data.with_name("data.partial"))
    shutil.rmtree(partial.data, ignore_errors=True)
    return partial


def _initialize(place: Place, template: Path) -> None:
    """Run initdb, the slowest step of a start, and keep its result as a template."""
    place.data.parent.mkdir(parents=True, exist_ok=True)
    place.data.mkdir(mode=0o700)
    place.own(place.data)
    place.run("initdb", *_INITDB, "-D", place.data)
    (place.data / "pg_hba.conf").write_text(_ACCESS)
    with (place.data / "postgresql.conf").open("a") as configuration:
        configuration.write("include_if_exists 'launcher.conf'\n")
    _save_template(place.data, template)


def _save_template(data: Path, template: Path) -> None:
    # Another process or thread may save the same template at the same time, or have saved it already.
    partial = template.with_name(f"{template.name}.partial-{secrets.token_hex(8)}")
    shutil.copytree(data, partial)
    with suppress(OSError):
        partial.rename(template)
    shutil.rmtree(partial, ignore_errors=True)


def _set_password(password: str) -> str:
    return f"ALTER ROLE {SUPERUSER} PASSWORD '{password}'\n"


def _identifier(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
