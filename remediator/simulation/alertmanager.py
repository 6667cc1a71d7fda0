"""A stand-in for Alertmanager: delivers alerts as the remediator's route in deploy/alertmanager.yml does.

Each alert is a group of its own (`group_by: ['...']`): its firing is delivered at once, its resolution at the next
`group_interval`, and a repetition at the first `group_interval` that lies more than `repeat_interval` after the last
delivery. A refused delivery is tried again, as after a 503.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from remediator.clients.alertmanager import ActiveAlert, AlertmanagerUnreadable
from remediator.model.clock import Clock, rfc3339

GROUP_INTERVAL = timedelta(minutes=1)
RETRY_SECONDS = 5.0
_NEVER = "0001-01-01T00:00:00Z"
Deliver = Callable[[bytes], Awaitable[bool]]


@dataclass
class _Group:
    """One alert, since it began to fire, and what was delivered of it."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    fingerprint: str
    started: datetime
    ended: datetime | None = None
    delivered_at: datetime | None = None


class SimulatedAlertmanager:
    """Delivers what fires, and lists it; it holds no address."""

    def __init__(
        self, clock: Clock, deliver: Deliver, repeat_interval: timedelta, group_interval: timedelta = GROUP_INTERVAL
    ) -> None:
        self._clock = clock
        self._deliver = deliver
        self._repeat_interval = repeat_interval
        self._group_seconds = group_interval.total_seconds()
        self._groups: dict[str, _Group] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.outage: str | None = None
        """Why its API does not answer, or None; it delivers nevertheless."""

    async def active(self) -> Sequence[ActiveAlert]:
        """Return the alerts that fire now; see AlertmanagerReader."""
        if self.outage is not None:
            raise AlertmanagerUnreadable(self.outage)
        firing = (each for each in self._groups.values() if each.ended is None)
        return [ActiveAlert(labels=dict(each.labels), startsAt=each.started) for each in firing]

    def fire(self, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> None:
        """Let an alert begin to fire now, unless it fires already."""
        key = fingerprint(labels)
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = _Group(dict(labels), dict(annotations or {}), key, self._clock.now())
            self._tasks[key] = asyncio.create_task(self._run_group(key), name=f"alert {key}")
        elif group.ended is not None:
            group.started, group.ended = self._clock.now(), None

    def resolve(self, labels: Mapping[str, str]) -> None:
        """Let an alert end now, if it fires."""
        group = self._groups.get(fingerprint(labels))
        if group is not None and group.ended is None:
            group.ended = self._clock.now()

    def forget(self, labels: Mapping[str, str]) -> None:
        """Lose an alert without a word, as after a loss of its state."""
        key = fingerprint(labels)
        if self._groups.pop(key, None) is not None:
            self._tasks.pop(key).cancel()

    async def stop(self) -> None:
        """Deliver nothing more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run_group(self, key: str) -> None:
        group = self._groups[key]
        while True:
            await self._flush(group)
            if group.ended is not None and group.delivered_at is None:
                break
            await asyncio.sleep(self._group_seconds)
        del self._groups[key], self._tasks[key]

    async def _flush(self, group: _Group) -> None:
        """Deliver what is new, until it is accepted."""
        while (status := self._due_status(group)) is not None:
            if await self._deliver(_body(group, status)):
                group.delivered_at = None if status == "resolved" else self._clock.now()
                return
            await asyncio.sleep(RETRY_SECONDS)

    def _due_status(self, group: _Group) -> str | None:
        """Return what is to be delivered of the group now; nothing of an alert that ended before it was delivered."""
        if group.ended is not None:
            return "resolved" if group.delivered_at is not None else None
        is_due = group.delivered_at is None or self._clock.now() - group.delivered_at > self._repeat_interval
        return "firing" if is_due else None


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the identity of an alert with these labels."""
    return hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()[:16]


def _body(group: _Group, status: str) -> bytes:
    alert: dict[str, Any] = {
        "status": status,
        "labels": group.labels,
        "annotations": group.annotations,
        "startsAt": rfc3339(group.started),
        "endsAt": rfc3339(group.ended) if status == "resolved" else _NEVER,
        "fingerprint": group.fingerprint,
    }
    return json.dumps({"version": "4", "receiver": "simulation", "status": status, "alerts": [alert]}).encode()
