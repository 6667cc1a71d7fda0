"""Asks the demo's remediator by its API."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from tools.toolchain.errors import SetupError

_WAIT_SECONDS = 120


@dataclass
class Remediator:
    """The demo's remediator. `token` is its operator's."""

    url: str
    token: str

    def get(self, path: str) -> Any:
        """Return an answer of the API."""
        return json.loads(self._call(f"/api/v1{path}", None))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send `body`, and return the answer."""
        return json.loads(self._call(path, json.dumps(body).encode()))

    def reload(self) -> None:
        """Let it read its inventory again."""
        self._call("/-/reload", b"")

    def newest(self, **query: str) -> int | None:
        """Return the number of the newest run that matches."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        runs = self.get(f"/runs?limit=1&{words}")["runs"]
        return int(runs[0]["id"]) if runs else None

    async def wait_for(self, **query: str) -> int:
        """Return the newest run that matches, as soon as there is one. Raises SetupError if none comes."""
        for _ in range(_WAIT_SECONDS):
            if (number := self.newest(**query)) is not None:
                return number
            await asyncio.sleep(1)
        raise SetupError(f"no run {query} after {_WAIT_SECONDS} s", "demo", "run make pictures again")

    def _call(self, path: str, body: bytes | None) -> bytes:
        request = Request(self.url + path, body, {"Authorization": f"Bearer {self.token}"})  # noqa: S310 - loopback
        with urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
            return bytes(answer.read())
