"""Simulates a messenger: appends each POST to a file as JSON {at, channel, message}.

The channel is the path: Alertmanager posts to /alerts, the remediator to /escalations.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import typer
from aiohttp import web

_FILE = web.AppKey("file", Path)


async def _receive(request: web.Request) -> web.Response:
    try:
        message = json.loads(await request.read())
    except ValueError:
        raise web.HTTPBadRequest(text="the body is not JSON\n") from None
    line = {"at": datetime.now(UTC).isoformat(), "channel": request.match_info["channel"], "message": message}
    with request.app[_FILE].open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return web.Response(text="received\n")


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="healthy\n")


def application(file: Path) -> web.Application:
    """Return the receiver, which appends to `file`."""
    app = web.Application()
    app[_FILE] = file
    app.add_routes([web.get("/healthy", _healthy), web.post("/{channel}", _receive)])
    return app


def main(port: int, file: Path) -> None:
    """Serve on 127.0.0.1:PORT until SIGTERM."""
    web.run_app(application(file), host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    typer.run(main)
