"""The alerts that fire: those of the open episodes, and with Alertmanager those that no run answers."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from remediator.clients.alertmanager import ActiveAlert, AlertmanagerUnreadable
from remediator.context import ActiveAlerts, Context
from remediator.ledger.episodes import Episode
from remediator.ledger.schema import from_microseconds
from remediator.model.target import READ_FOR, key_of, opens_an_episode

_READ_SECONDS = 1.5  # a page must not wait longer for Alertmanager
_KEPT_SECONDS = 5.0
_BY_SEVERITY = {"critical": 1, "error": 1, "warning": 2}
_LOWEST = 4


@dataclass(frozen=True)
class FiringAlert:
    """An alert. `episode` is the number of its episode; without one, `why_not` says why no run answers it."""

    name: str
    labels: Mapping[str, str]
    since: datetime | None
    summary: str = ""
    runbook_url: str = ""
    episode: int | None = None
    why_not: str = ""

    @property
    def stack(self) -> str:
        """The stack that it names."""
        return self.labels.get("stack", "")

    @property
    def target(self) -> str:
        """The thing that its labels name."""
        return "/".join(self.labels[name] for name in ("target", "queue") if self.labels.get(name))

    @property
    def priority(self) -> str:
        """Its priority, else its severity."""
        return self.labels.get("priority") or self.labels.get("severity", "")

    @property
    def rank(self) -> int:
        """The place of its priority: 0 for P0, and more for less."""
        if self.priority[:1] in ("P", "p") and self.priority[1:].isdecimal() and len(self.priority) == 2:
            return min(int(self.priority[1:]), _LOWEST)
        return _BY_SEVERITY.get(self.priority, _LOWEST)

    @property
    def tone(self) -> str:
        """The tone of its priority."""
        return ("bad", "bad", "warn")[self.rank] if self.rank < 3 else "quiet"


def worst_first(alerts: Sequence[FiringAlert]) -> list[FiringAlert]:
    """Sort by priority, then by age."""
    return sorted(alerts, key=lambda each: (each.rank, each.since or datetime.max.replace(tzinfo=UTC)))


def alerts_of(episode: Episode) -> list[FiringAlert]:
    """Return the alerts of an open episode."""
    return [
        FiringAlert(
            entry["labels"].get("alertname", "?"),
            entry["labels"] | {"stack": episode.stack},
            from_microseconds(entry["started"]) if entry.get("started") else episode.firing_since,
            entry["annotations"].get("summary", ""),
            entry["annotations"].get("runbook_url", ""),
            episode.id,
        )
        for entry in episode.alerts.values()
    ]


@dataclass(frozen=True)
class UnansweredAlerts:
    """The alerts without an episode, or why Alertmanager cannot tell.

    Unless it `is_complete`, more alerts may fire: Alertmanager has no address, or did not answer.
    """

    alerts: Sequence[FiringAlert] = ()
    error: str | None = None
    is_complete: bool = False


class AlertmanagerWatch:
    """Reads Alertmanager for the pages: one reading for all of them, kept for a few seconds."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = asyncio.Lock()
        self._read_at, self._reader = 0.0, context.alertmanager
        self._answer: Sequence[ActiveAlert] | str = ()

    async def unanswered(self, open_episodes: Sequence[Episode]) -> UnansweredAlerts:
        """Return the firing alerts that belong to none of `open_episodes`."""
        async with self._lock:
            await self._refresh()
            answer = self._answer
        if isinstance(answer, str):
            return UnansweredAlerts(error=answer)
        alerts = list(self._without_episode(answer, open_episodes))
        return UnansweredAlerts(alerts, is_complete=self._context.alertmanager is not None)

    async def _refresh(self) -> None:
        loop, reader = asyncio.get_running_loop(), self._context.alertmanager
        if reader is self._reader and self._read_at and loop.time() < self._read_at + _KEPT_SECONDS:
            return
        self._answer = await _read(reader) if reader is not None else ()
        self._read_at, self._reader = loop.time(), reader

    def _without_episode(
        self, alerts: Sequence[ActiveAlert], open_episodes: Sequence[Episode]
    ) -> Iterator[FiringAlert]:
        known = {each.key for each in open_episodes}
        for alert in alerts:
            if key_of(alert.labels, self._context.remediations) in known:
                continue
            name = alert.labels.get("alertname", "?")
            yield FiringAlert(name, alert.labels, alert.started, why_not=self._why_not(alert.labels))

    def _why_not(self, labels: Mapping[str, str]) -> str:
        remediation = labels.get("remediation", "")
        if not remediation:
            return "No remediation repairs it: its rule has no label `remediation`. Follow the runbook."
        if not opens_an_episode(labels, self._context.remediations):
            urgent = " and ".join(sorted(READ_FOR - {""}))
            return f"{remediation} only reads, for {urgent}; this alert is left to Alertmanager."
        return "Alertmanager has not delivered it yet. If this stays, check the remediator's route in Alertmanager."


async def _read(reader: ActiveAlerts) -> Sequence[ActiveAlert] | str:
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await reader.active()
    except AlertmanagerUnreadable as error:
        return str(error)
    except TimeoutError:
        return f"Alertmanager did not answer within {_READ_SECONDS} s"
