"""A search cluster over real HTTP, with the answers that its documentation shows. No real one can be fetched here.

Elasticsearch 7.17, 8.11 and 9.0 ("Cluster health API", "Index stats API", "Get alias API"), and OpenSearch 2.11.
"""

import base64
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HEALTH: dict[str, Any] = {
    "cluster_name": "clientforge",
    "status": "yellow",
    "timed_out": False,
    "number_of_nodes": 1,
    "number_of_data_nodes": 1,
    "active_primary_shards": 12,
    "active_shards": 12,
    "relocating_shards": 0,
    "initializing_shards": 0,
    "unassigned_shards": 4,
    "delayed_unassigned_shards": 0,
    "number_of_pending_tasks": 0,
    "number_of_in_flight_fetch": 0,
    "task_max_waiting_in_queue_millis": 0,
    "active_shards_percent_as_number": 75.0,
}
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
# The fields in which the versions differ.
VERSIONS: dict[str, dict[str, Any]] = {
    "7.17": {},
    "8.11": {},
    "9.0": {"unassigned_primary_shards": 0},
    "opensearch-2.11": {"discovered_master": True, "discovered_cluster_manager": True},
}


def index(docs: int, searches: int = 100) -> dict[str, Any]:
    search = {"open_contexts": 0, "query_total": searches, "query_time_in_millis": searches * 5, "query_current": 0}
    return {
        "primaries": {
            "docs": {"count": docs, "deleted": 3},
            "indexing": {"index_total": docs + 3},
            "store": {"size_in_bytes": docs * 1_000},
        },
        "total": {"search": search},
    }


@dataclass
class Cluster:
    """The state of the cluster, and what it answers instead, by path."""

    url: str = ""
    health: dict[str, Any] = field(default_factory=lambda: dict(HEALTH))
    indices: dict[str, Any] = field(default_factory=lambda: {"products-v3": index(40_000), "orders": index(900)})
    aliases: dict[str, list[str]] = field(default_factory=lambda: {"products": ["products-v3"]})
    login: str | None = None
    instead: dict[str, web.Response | Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as the cluster does."""
        self.requests.append(request.path)
        if self.login is not None and request.headers.get("Authorization") != self.login:
            return web.json_response({"error": "security_exception"}, status=401)
        for part, response in self.instead.items():
            if part in request.path:
                return response if isinstance(response, web.Response) else await response(request)
        if request.path == "/_cluster/health":
            return self._compressed(self.health)
        if request.path.startswith("/_alias/"):
            return self._aliases(request.match_info["path"].removeprefix("_alias/").split(","))
        return self._compressed({"indices": self.indices})

    def _aliases(self, names: list[str]) -> web.Response:
        found: dict[str, Any] = {}
        for name in names:
            for each in self.aliases.get(name, ()):
                found.setdefault(each, {"aliases": {}})["aliases"][name] = {}
        if missing := [name for name in names if name not in self.aliases]:
            found |= {"error": f"alias [{','.join(missing)}] missing", "status": 404}
        return web.json_response(found, status=404 if missing else 200)

    def _compressed(self, document: Any) -> web.Response:
        body = gzip.compress(json.dumps(document).encode())
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return web.Response(body=body, headers={**headers, "Warning": f'299 - "deprecated: {"x" * 9_000}"'})


@asynccontextmanager
async def serve_cluster(cluster: Cluster, tls: ssl.SSLContext | None = None) -> AsyncIterator[Cluster]:
    """Serve the cluster on loopback, over TLS with a context."""
    app = web.Application()
    app.router.add_get("/{path:.*}", cluster.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    cluster.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield cluster
    finally:
        await runner.cleanup()


def basic(user: str, password: str) -> str:
    """Return the header of a user."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
