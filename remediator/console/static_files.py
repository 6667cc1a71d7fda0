"""`/static/`: the stylesheet and the script, read once at start and addressed by their content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from aiohttp import hdrs, web

_FOREVER = "public, max-age=31536000, immutable"  # the address changes with the content
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class StaticFile:
    """A file with its address."""

    body: bytes
    content_type: str
    version: str

    def response(self, *, is_current: bool) -> web.Response:
        """Return it; under an address of another version it must not be kept."""
        headers = {hdrs.CACHE_CONTROL: _FOREVER if is_current else "no-cache"}
        return web.Response(body=self.body, content_type=self.content_type, charset="utf-8", headers=headers)


def read_static_files() -> Mapping[str, StaticFile]:
    """Return the files of the package by name."""
    return {
        entry.name: _read(entry.name, entry.read_bytes())
        for entry in files("remediator.console").joinpath("static").iterdir()
        if entry.is_file() and _suffix(entry.name) in _TYPES
    }


def _read(name: str, body: bytes) -> StaticFile:
    return StaticFile(body, _TYPES[_suffix(name)], hashlib.sha256(body).hexdigest()[:16])


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]


STATIC_FILES = read_static_files()


def static_url(name: str) -> str:
    """Return the address of a file, which changes with its content."""
    return f"/static/{name}?v={STATIC_FILES[name].version}"


async def serve_static(request: web.Request) -> web.Response:
    """Return one of the files, to anyone: the page of the sign-in needs them."""
    file = STATIC_FILES.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound(text=f"there is no file {request.path}")
    return file.response(is_current=request.query.get("v") == file.version)
