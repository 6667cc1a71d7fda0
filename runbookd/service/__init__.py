"""The HTTP service of both daemons: flags, logs, lifecycle, health, users, metrics page.

It knows neither daemon.
"""

from runbookd.service.address import ListenAddress
from runbookd.service.check import ConfigFinding
from runbookd.service.exit import exit_process
from runbookd.service.health import add_health_routes
from runbookd.service.lifecycle import Daemon, UnusableConfiguration, run, serve_until_stopped
from runbookd.service.logs import configure_logs
from runbookd.service.metrics_page import metrics_response
from runbookd.service.reload import InventoryReload, ReloadFailed, add_reload_route
from runbookd.service.serve import BEFORE_CLOSING
from runbookd.service.tls_and_users import OWN_CREDENTIALS
from runbookd.service.version import VERSION

__all__ = [
    "BEFORE_CLOSING",
    "OWN_CREDENTIALS",
    "VERSION",
    "ConfigFinding",
    "Daemon",
    "InventoryReload",
    "ListenAddress",
    "ReloadFailed",
    "UnusableConfiguration",
    "add_health_routes",
    "add_reload_route",
    "configure_logs",
    "exit_process",
    "metrics_response",
    "run",
    "serve_until_stopped",
]
