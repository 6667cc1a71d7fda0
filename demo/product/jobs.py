"""Writes the settings of the product's Node part, with a password, to a private file."""

import json
from pathlib import Path

from demo.paths import DemoPaths
from demo.ports import Ports

QUEUE = "emails"


def write_settings(paths: DemoPaths, ports: Ports) -> Path:
    """Write the file that jobs.js reads, and return its path."""
    settings = {
        "redis_url": paths.secret("redis_product"),
        "upstream_url": ports.url("upstream"),
        "port": ports.jobs,
        "queue": QUEUE,
    }
    paths.write_secret("jobs.json", json.dumps(settings))
    return paths.secrets / "jobs.json"
