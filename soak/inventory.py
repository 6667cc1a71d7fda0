"""The inventory that both daemons of the soak share."""

from collections.abc import Mapping
from typing import Any

STACK = "shop"
DATABASE_TARGET, QUEUE_TARGET, QUEUE = "main", "jobs", "mail"
TERMINATE, RETRY = "terminate_idle_transactions", "retry_failed_jobs"
_QUICK = {"mode": "auto", "min_firing": "0s", "settle": "1s", "cooldown": "1s", "verify_within": "10s"}
_RUNS_PER_HOUR = 10_000


def inventory(
    *, postgres: Mapping[str, Any], redis: Mapping[str, Any], storage: Mapping[str, Any], token_file: str
) -> dict[str, Any]:
    """Return an inventory with a target of each kind, and two remediations that run again and again."""
    backups = {"pattern": "db_%Y%m%d.dump", "refresh": "1s", "options": storage["options"]}
    remediations = {TERMINATE: {**_QUICK, "older_than": "1s"}, RETRY: _QUICK}
    stack = {
        "postgres": {DATABASE_TARGET: {**postgres, "refresh": "2s"}},
        "redis": {"main": redis},
        "queues": {QUEUE_TARGET: {"redis": "main", "dead_letter": "{name}-dlq", "refresh": "1s"}},
        "backups": {"nightly": {"url": "s3://backups/", **backups}},
        "http": {"storage": {"url": f"{storage['url']}/"}},
        "limits": {"max_runs_per_hour": _RUNS_PER_HOUR},
        "remediations": {name: {**each, "max_runs_per_hour": _RUNS_PER_HOUR} for name, each in remediations.items()},
    }
    return {
        "ledger": {"same_server": True},
        "operators": {"oncall": {"token_file": token_file}},
        "limits": {"max_runs_per_hour": _RUNS_PER_HOUR},
        "stacks": {STACK: stack},
    }
