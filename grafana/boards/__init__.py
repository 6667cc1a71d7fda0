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
    "queue-metrics": queues.BOARD,
    "postgres": postgres.BOARD,
    "redis": redis.BOARD,
    "backups": backups.BOARD,
    "search": search.BOARD,
    "application": application.BOARD,
    "remediation": remediation.BOARD,
    "duties": duties.BOARD,
}
"""Dashboards by uid; the uid is the name of the JSON file and part of every link, so it stays as it is."""
