"""One file per dashboard, and this one map of them.

They draw with the panels of `grafana.panels` and decide nothing.
"""

from grafana.boards import stack
from grafana.panels import Json

BOARDS: dict[str, Json] = {"stack": stack.BOARD}
"""Dashboards by uid; the uid is the name of the JSON file and part of every link, so it stays as it is."""
