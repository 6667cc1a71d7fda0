"""The e-mail service of the product, which an incident can switch off.

`GET /send` answers 200 or 503; `PUT /switch?state=on|off` switches it; `GET /healthy` always answers 200.
"""

import typer
from aiohttp import web

_ON = web.AppKey("on", list[bool])  # a list, because a running application's values cannot be replaced


async def _send(request: web.Request) -> web.Response:
    on = request.app[_ON][0]
    return web.Response(status=200 if on else 503, text="sent\n" if on else "out of service\n")


async def _switch(request: web.Request) -> web.Response:
    state = request.query.get("state")
    if state not in {"on", "off"}:
        raise web.HTTPBadRequest(text="state must be on or off\n")
    request.app[_ON][0] = state == "on"
    return web.Response(text=f"{state}\n")


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="healthy\n")


def application() -> web.Application:
    """Return the upstream, switched on."""
    app = web.Application()
    app[_ON] = [True]
    app.add_routes([web.get("/send", _send), web.put("/switch", _switch), web.get("/healthy", _healthy)])
    return app


def main(port: int) -> None:
    """Serve on 127.0.0.1:PORT until SIGTERM."""
    web.run_app(application(), host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    typer.run(main)
