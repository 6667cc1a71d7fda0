"""What both daemons share: flags, logs, start and stop, health, the metrics page. It knows neither of them."""

from daemon.address import ListenAddress
from daemon.check import Finding
from daemon.health import add_health_routes
from daemon.leave import leave
from daemon.logs import configure_logs
from daemon.metrics_page import metrics_response
from daemon.reload import add_reload_route
from daemon.run import Daemon, UnusableConfiguration, run
from daemon.serve import BEFORE_CLOSING
from daemon.settings import DaemonSettings, WebSettings, read_settings
from daemon.version import VERSION
from daemon.web_guard import OWN_CREDENTIALS

__all__ = [
    "BEFORE_CLOSING",
    "OWN_CREDENTIALS",
    "VERSION",
    "Daemon",
    "DaemonSettings",
    "Finding",
    "ListenAddress",
    "UnusableConfiguration",
    "WebSettings",
    "add_health_routes",
    "add_reload_route",
    "configure_logs",
    "leave",
    "metrics_response",
    "read_settings",
    "run",
]
