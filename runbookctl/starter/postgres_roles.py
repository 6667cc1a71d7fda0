"""The two PostgreSQL roles of a new installation: their addresses, and the SQL that creates them."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from runbookctl.errors import InitError
from runbookctl.starter.shipped import shipped

ROLES = {"pg_metrics": ("metrics", "exporter.sql"), "pg_remediator": ("remediator", "remediator.sql")}
"""By the name of the secret: the role, and the file of its grants."""
SETUP = "postgres_roles.sql"
_PLACE = re.compile(r"(?P<host>[\w.-]+):(?P<port>\d+)/(?P<database>[\w-]+)")
_PORT = 5432
LOCAL = ("127.0.0.1", "localhost")
_ITERATIONS = 4096  # PostgreSQL's own default


@dataclass(frozen=True)
class PostgresPlace:
    """Where the stack's database is."""

    host: str
    port: int
    database: str

    @classmethod
    def parse(cls, text: str) -> "PostgresPlace":
        """Parse HOST:PORT/DATABASE. Raises InitError."""
        match = _PLACE.fullmatch(text)
        if match is None or not 0 < int(match["port"]) < 65_536:
            raise InitError(
                "--postgres: write it as HOST:PORT/DATABASE, such as 127.0.0.1:5432/shop; init makes the logins"
            )
        return cls(match["host"], int(match["port"]), match["database"])

    @property
    def psql(self) -> str:
        """The command by which its administrator runs SQL: on this machine as the user postgres, as on Debian."""
        if self.host not in LOCAL:
            return f"psql -q -h {self.host} -p {self.port} -U postgres"
        return "sudo -u postgres psql -q" + ("" if self.port == _PORT else f" -p {self.port}")

    def secret_files(self) -> Mapping[str, str]:
        """Return the addresses of both roles with fresh passwords, and the SQL that sets them."""
        passwords = {name: secrets.token_hex(24) for name in ROLES}
        return {
            **{name: self._address(role, passwords[name]) for name, (role, _) in ROLES.items()},
            SETUP: "\n".join(_role_sql(*ROLES[name], password) for name, password in passwords.items()),
        }

    def _address(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@{self.host}:{self.port}/{self.database}\n"


def _role_sql(role: str, file: str, password: str) -> str:
    grants = (shipped("deploy/postgres") / file).read_text(encoding="utf-8")
    return f"{grants}ALTER ROLE {role} PASSWORD '{scram_verifier(password, secrets.token_bytes(16))}';\n"


def scram_verifier(password: str, salt: bytes) -> str:
    """Return what PostgreSQL stores for a password (RFC 5803): the password itself is in no log of the server."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key, server_key = hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(each).decode() for each in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"
