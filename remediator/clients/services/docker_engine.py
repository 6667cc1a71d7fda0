"""Requests to the Docker Engine over its unix socket, in a version of the API that both sides know."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from remediator.masking import mask_text
from remediator.model.errors import TargetUnreachable
from runbookd.network_errors import network_error_text

OLDEST, NEWEST = (1, 41), (1, 47)
MAX_BYTES = 8 * 1024 * 1024
MAX_MESSAGE = 200


@dataclass(frozen=True)
class EngineAnswer:
    """The status and the body of an answer."""

    status: int
    body: bytes

    @property
    def message(self) -> str:
        """The engine's error, masked and cut."""
        return mask_text(self.body[:MAX_MESSAGE].decode("utf-8", "replace"))


@dataclass(frozen=True)
class DockerEngine:
    """An open connection to the engine."""

    place: str
    version: str
    session: aiohttp.ClientSession

    async def request(
        self, method: str, path: str, params: Mapping[str, str] | None = None, json: Any = None
    ) -> EngineAnswer:
        """Send one request and return its answer, whatever its status."""
        url = f"http://docker/v{self.version}{path}"
        async with self.session.request(method, url, params=params, json=json) as response:
            body = await response.content.read(MAX_BYTES)
            while not response.content.at_eof() and len(body) < MAX_BYTES:
                body += await response.content.read(MAX_BYTES - len(body))
            return EngineAnswer(response.status, body)


@asynccontextmanager
async def open_engine(place: str, path: Path, seconds: float) -> AsyncIterator[DockerEngine]:
    """Connect to the engine at the socket `path`; all requests together have `seconds`.

    Raises:
        TargetUnreachable: it does not answer, refuses this user, or knows no version of the API that we do.
    """
    timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, 3.0))
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), timeout=timeout) as session:
            yield DockerEngine(place, await _negotiate(place, path, session), session)
    except TimeoutError:
        raise TargetUnreachable(f"{place}: no answer at {path} within {seconds:g} s; check the Docker Engine") from None
    except aiohttp.ClientConnectorError as error:
        raise TargetUnreachable(
            f"{place}: {path}: {network_error_text(error.os_error)}; check docker.socket, and the group of the socket"
        ) from None
    except (aiohttp.ClientError, OSError) as error:
        raise TargetUnreachable(
            f"{place}: {path}: the answer broke off or is not HTTP ({type(error).__name__}); check docker.socket"
        ) from None


async def _negotiate(place: str, path: Path, session: aiohttp.ClientSession) -> str:
    async with session.get("http://docker/_ping") as response:
        offered = response.headers.get("Api-Version", "")
    parts = offered.split(".")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise TargetUnreachable(f"{place}: {path} is not the socket of a Docker Engine; correct docker.socket")
    version = int(parts[0]), int(parts[1])
    if version < OLDEST:
        raise TargetUnreachable(f"{place}: the engine's API is {offered}, and 1.41 is needed; update Docker to 20.10")
    major, minor = min(version, NEWEST)
    return f"{major}.{minor}"
