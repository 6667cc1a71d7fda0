"""The ports of one demo, all on 127.0.0.1, and the addresses that follow from them."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from demo.paths import DemoPaths, write_private

HOST = "127.0.0.1"


class Ports(BaseModel):
    """One free port for each part."""

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

    def address(self, part: str) -> str:
        """HOST:PORT of `part`."""
        return f"{HOST}:{getattr(self, part)}"

    def url(self, part: str) -> str:
        """The http address of `part`, without a slash at its end."""
        return f"http://{self.address(part)}"

    def save(self, paths: DemoPaths) -> None:
        write_private(paths.ports, self.model_dump_json(indent=2))

    @classmethod
    def load(cls, paths: DemoPaths) -> Self:
        return cls.model_validate_json(paths.ports.read_text(encoding="utf-8"))
