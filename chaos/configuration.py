"""The inventory of the replicas, the routes of the Alertmanagers, and the bounds that the auditor recomputes."""

import json
from pathlib import Path
from typing import Any

from chaos.audit.evidence import Bounds
from demo.product.jobs import QUEUE
from demo.servers.postgres import PostgresServer

SHOP, TIGHT = "shop", "tight"
"""The product, and a stack whose bounds are so narrow that they are always reached."""
TERMINATE, RETRY, CALL = "terminate_idle_transactions", "retry_failed_jobs", "http_call"
POSTGRES_TARGET, QUEUE_TARGET, GATE_TARGET = "main", "jobs", "gate"
IDLE_SECONDS = 2
REPEAT_SECONDS = 5
_ROOMY = {"mode": "auto", "min_firing": "0s", "settle": "1s", "cooldown": "2s", "verify_within": "20s"}


BOUNDS = Bounds(concurrency=2, rates=[(TIGHT, CALL, 6)], max_items={TERMINATE: 5, RETRY: 200})
"""The bounds of the inventory, for its writer and for the auditor."""


def inventory(dsn_file: Path, redis_url: str, gate_url: str, operator_token: Path) -> dict[str, Any]:
    """Return the inventory of every replica: the same for all."""
    (_, _, calls), items = BOUNDS.rates[0], BOUNDS.max_items
    gate = {"url": gate_url, "has": {"open": True}}
    roomy = {**_ROOMY, "max_runs_per_hour": 2_000}
    shop = {
        "postgres": {POSTGRES_TARGET: {"dsn_file": str(dsn_file), "admin_dsn_file": str(dsn_file)}},
        "redis": {"main": {"url": redis_url, "admin_url": redis_url}},
        "queues": {QUEUE_TARGET: {"redis": "main", "names": [QUEUE]}},
        "limits": {"max_runs_per_hour": 4_000},
        "remediations": {
            TERMINATE: {**roomy, "older_than": f"{IDLE_SECONDS}s", "max_items": items[TERMINATE]},
            RETRY: {**roomy, "max_items": items[RETRY]},
        },
    }
    tight = {
        "commands": {
            GATE_TARGET: {"method": "PUT", "url": gate_url, "json": {"open": True}, "check": gate, "timeout": "3s"}
        },
        "limits": {"max_runs_per_hour": 2 * calls},
        "remediations": {CALL: {**_ROOMY, "max_runs_per_hour": calls}},
    }
    storm = {"targets": 100, "alerts": 1_000}
    return {
        # Both servers are copies of one cluster, so they have the same identifier.
        "ledger": {"same_server": True},
        "operators": {"oncall": {"token_file": str(operator_token)}},
        "limits": {"max_runs_per_hour": 4_000, "concurrency": BOUNDS.concurrency, "storm": storm},
        "stacks": {SHOP: shop, TIGHT: tight},
    }


def alertmanager(webhooks: list[str], token: Path) -> str:
    """Return the configuration of an Alertmanager that delivers to every replica, with short intervals."""
    login = {"authorization": {"credentials_file": str(token)}}
    hooks = [{"url": url, "send_resolved": True, "http_config": login} for url in webhooks]
    intervals = {"group_wait": "0s", "group_interval": "2s", "repeat_interval": f"{REPEAT_SECONDS}s"}
    route = {"receiver": "replicas", "group_by": ["..."], **intervals}
    return json.dumps({"route": route, "receivers": [{"name": "replicas", "webhook_configs": hooks}]})


def product_dsn(server: PostgresServer, role: str, port: int) -> str:
    """Return the DSN of the product's database through another port."""
    return server.dsn(role, SHOP).replace(f":{server.port}/", f":{port}/")
