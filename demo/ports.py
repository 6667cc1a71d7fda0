"""The ports of one demo on 127.0.0.1, and their addresses."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from demo.paths import DemoPaths, write_private

HOST = "127.0.0.1"


class Ports(BaseModel):
    """One free port per part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    postgres: int
    redis: int
    s3: int
    prometheus: int
    alertmanager: int
    exporter: int
    remediator: int
    upstream: int
    receiver: int
    jobs: int
    mailer: int
    web: int

    def address(self, part: str) -> str:
        """Return HOST:PORT of `part`."""
        return f"{HOST}:{getattr(self, part)}"

    def url(self, part: str) -> str:
        """Return the HTTP URL of `part`, without a slash at its end."""
        return f"http://{self.address(part)}"

    def save(self, paths: DemoPaths) -> None:
        """Write the ports to their file."""
        write_private(paths.ports, self.model_dump_json(indent=2))

    @classmethod
    def load(cls, paths: DemoPaths) -> Self:
        """Read the ports from their file."""
        return cls.model_validate_json(paths.ports.read_text(encoding="utf-8"))
