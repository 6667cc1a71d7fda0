"""The two Redis users of a new installation: their addresses, and the commands that create them."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from runbookctl.errors import InitError
from runbookctl.starter.postgres_roles import LOCAL
from runbookctl.starter.shipped import shipped

USERS = {
    "redis_metrics": ("metrics", ("metrics-6.2.acl", "metrics.acl")),
    "redis_remediator": ("remediator", ("remediator.acl",)),
}
"""By the name of the secret: the user, and the files of its rules; the last that the server understands holds."""
SETUP = "redis_users"
_PORT = 6379
_PLACE = re.compile(r"(?P<host>[\w.-]+):(?P<port>\d+)(/(?P<database>\d+))?")


@dataclass(frozen=True)
class RedisPlace:
    """Where the stack's Redis is."""

    host: str
    port: int
    database: int

    @classmethod
    def parse(cls, text: str) -> "RedisPlace":
        """Parse HOST:PORT or HOST:PORT/DATABASE. Raises InitError."""
        match = _PLACE.fullmatch(text)
        if match is None or not 0 < int(match["port"]) < 65_536:
            raise InitError(
                "--redis: write it as HOST:PORT or HOST:PORT/DATABASE, such as 127.0.0.1:6379/0; init makes the logins"
            )
        return cls(match["host"], int(match["port"]), int(match["database"] or 0))

    @property
    def cli(self) -> str:
        """The command by which its administrator sends commands."""
        host = "" if self.host in LOCAL else f" -h {self.host}"
        return f"redis-cli{host}" + ("" if self.port == _PORT else f" -p {self.port}")

    def secret_files(self) -> Mapping[str, str]:
        """Return the addresses of both users with fresh passwords, and the commands that set them."""
        passwords = {name: secrets.token_hex(24) for name in USERS}
        commands = [_command(user, file, passwords[name]) for name, (user, files) in USERS.items() for file in files]
        return {
            **{name: self._address(user, passwords[name]) for name, (user, _) in USERS.items()},
            SETUP: "\n".join([*commands, "CONFIG REWRITE", ""]),
        }

    def _address(self, user: str, password: str) -> str:
        return f"redis://{user}:{password}@{self.host}:{self.port}/{self.database}\n"


def _command(user: str, file: str, password: str) -> str:
    """Return ACL SETUSER with the password's hash, so that the password itself is in no log of the server."""
    rules = (shipped("deploy/redis") / file).read_text(encoding="utf-8").strip().removeprefix(f"user {user} ")
    return f"ACL SETUSER {user} {rules} resetpass #{hashlib.sha256(password.encode()).hexdigest()}"
