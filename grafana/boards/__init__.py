"""One file per dashboard, and this one map of them.

They draw with the panels of `grafana.panels` and decide nothing.
"""

from grafana.boards import (
    application,
    backups,
    duties,
    fleet,
    morning,
    postgres,
    queues,
    redis,
    remediation,
    search,
    stack,
)
from grafana.panels import Json

BOARDS: dict[str, Json] = {
    "fleet": fleet.BOARD,
    "morning": morning.BOARD,
    "stack": stack.BOARD,
    "application": application.BOARD,
    "postgres": postgres.BOARD,
    "redis": redis.BOARD,
    "queue-metrics": queues.BOARD,
    "search": search.BOARD,
    "backups": backups.BOARD,
    "remediation": remediation.BOARD,
    "duties": duties.BOARD,
}
"""Dashboards by uid, from all stacks down to one subject, as an operator reads them.

The uid is the name of the JSON file and part of every link, so it stays as it is.
"""
