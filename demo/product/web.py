"""The product's web server: `POST /orders` takes an order, ships an older one and counts all; `GET /metrics`.

It sells other goods than those that the incidents lock: an incident then blocks only its own sessions.
"""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import typer
from aiohttp import web
from prometheus_client import Counter, Histogram, generate_latest

SESSIONS = 3
APPLICATION = "shop-web"
_SKUS = range(101, 201)
_TIMEOUT_SECONDS = 5
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_POOL = web.AppKey("pool", asyncpg.Pool)
_REQUESTS = Histogram(
    "http_request_duration_seconds", "Duration of requests in seconds.", ("method", "route", "status_code")
)
_ERRORS = Counter("app_errors_total", "Errors of requests.")
_QUERIES = Histogram("db_query_duration_seconds", "Duration of the queries of a request in seconds.")


async def _order(request: web.Request) -> web.Response:
    sku = random.choice(_SKUS)  # noqa: S311 - not used for security
    with _QUERIES.time():
        async with request.app[_POOL].acquire(timeout=_TIMEOUT_SECONDS) as connection:
            async with connection.transaction():
                await connection.execute("UPDATE stock SET quantity = quantity - 1 WHERE sku = $1", sku)
                await connection.execute("INSERT INTO orders (sku) VALUES ($1)", sku)
            await connection.execute(
                "UPDATE orders SET status = 'shipped' WHERE id = (SELECT id FROM orders WHERE status = 'new'"
                " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
            )
            await connection.fetch("SELECT status, count(*) FROM orders GROUP BY status")
    return web.Response(status=201, text="ordered\n")


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="healthy\n")


@web.middleware
async def _measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Time orders; without the database they fail with 503."""
    if request.path != "/orders":
        return await handler(request)
    started = time.monotonic()
    try:
        response: web.StreamResponse = await handler(request)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        _ERRORS.inc()
        response = web.Response(status=503, text="no database\n")
    _REQUESTS.labels("POST", "/orders", str(response.status)).observe(time.monotonic() - started)
    return response


def application(dsn: str) -> web.Application:
    """Return the web server, which holds SESSIONS sessions of the database."""

    async def pool(app: web.Application) -> AsyncIterator[None]:
        settings = {"application_name": APPLICATION}
        async with asyncpg.create_pool(
            dsn, min_size=SESSIONS, max_size=SESSIONS, max_inactive_connection_lifetime=0, server_settings=settings
        ) as app[_POOL]:
            yield

    app = web.Application(middlewares=[_measure])
    app.cleanup_ctx.append(pool)
    app.add_routes([web.post("/orders", _order), web.get("/metrics", _metrics), web.get("/healthy", _healthy)])
    return app


def main(port: int, dsn_file: Path) -> None:
    """Serve on 127.0.0.1:PORT with the database of DSN_FILE until SIGTERM."""
    web.run_app(application(dsn_file.read_text(encoding="utf-8").strip()), host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    typer.run(main)
