"""The demo's passwords and tokens: new at every start, one per role, each in its own file."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import bcrypt
import yaml

from demo.paths import DemoPaths
from demo.ports import HOST, Ports

DATABASE = "shop"
BUCKET = "backups"
POSTGRES_ROLES = ("product", "metrics", "remediator", "dumper", "drill")
REDIS_USERS = ("product", "metrics", "remediator")


def _new_secret() -> str:
    # URL-safe, so that it needs no escaping in a DSN, an ACL file or an SQL literal.
    return secrets.token_urlsafe(24)


def _secret_per_name(*names: str) -> Mapping[str, str]:
    return {name: _new_secret() for name in names}


@dataclass(frozen=True)
class Credentials:
    """All secrets of one demo."""

    postgres: Mapping[str, str] = field(default_factory=lambda: _secret_per_name(*POSTGRES_ROLES), repr=False)
    redis: Mapping[str, str] = field(default_factory=lambda: _secret_per_name(*REDIS_USERS), repr=False)
    s3: str = field(default_factory=_new_secret, repr=False)
    webhook_token: str = field(default_factory=_new_secret, repr=False)
    operator_token: str = field(default_factory=_new_secret, repr=False)
    operator_password: str = field(default_factory=_new_secret, repr=False)

    def save(self, paths: DemoPaths, ports: Ports) -> None:
        """Write one file per secret, as the DSN, URL or token that the inventory expects."""
        for role, password in self.postgres.items():
            dsn = f"postgresql://{role}:{password}@{HOST}:{ports.postgres}/{DATABASE}"
            paths.write_secret(f"postgres_{role}", dsn)
        for user, password in self.redis.items():
            paths.write_secret(f"redis_{user}", f"redis://{user}:{password}@{HOST}:{ports.redis}/0")
        paths.write_secret("s3_options.yml", yaml.safe_dump(self.s3_options(ports)))
        paths.write_secret("webhook_token", self.webhook_token)
        paths.write_secret("operator_token", self.operator_token)
        paths.write_secret("operator_password", self.operator_password)  # for you, to sign in to the console
        hashed = bcrypt.hashpw(self.operator_password.encode(), bcrypt.gensalt())
        paths.write_secret("operator_password_hash", hashed.decode())

    def s3_options(self, ports: Ports) -> dict[str, str]:
        """Return the storage settings for the inventory's `options_file`."""
        return {
            "aws_access_key_id": "demo",
            "aws_secret_access_key": self.s3,
            "aws_region": "us-east-1",
            "aws_endpoint": ports.url("s3"),
            "aws_allow_http": "true",
        }
