"""Delivers an alert as Alertmanager does, and restarts the remediator from /proc."""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from demo.paths import DemoPaths


def delivery(labels: Mapping[str, str]) -> bytes:
    """Return a body with one firing alert."""
    alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": datetime.now(UTC).isoformat()}
    alert |= {"endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "00000000000000aa"}
    body = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "remediator", "groupLabels": {}}
    return json.dumps({**body, "commonLabels": labels, "commonAnnotations": {}, "alerts": [alert]}).encode()


def deliver(url: str, paths: DemoPaths, labels: Mapping[str, str], then: Callable[[], None] = lambda: None) -> int:
    """POST a delivery, call `then` as soon as the answer arrives, and return its status."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    token = paths.secret("webhook_token")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/webhook", delivery(labels), headers)
    answer = connection.getresponse()
    then()
    status = answer.status
    connection.close()
    return status


def remediator_pid(paths: DemoPaths) -> int:
    """Return the number of the process that `demo-up` started."""
    return int(json.loads((paths.part("remediator") / "remediator.pid").read_text())["pid"])


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def start_again(pid: int) -> Callable[[], subprocess.Popen[bytes]]:
    """Return a function that restarts a process with its arguments and folder from /proc."""
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    folder = Path(f"/proc/{pid}/cwd").readlink()
    return lambda: subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
