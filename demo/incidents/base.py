"""The interface of an incident: inject it, recognize it from outside, and prove its end."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from demo.metrics import ExporterPage
from demo.paths import DemoPaths, write_private
from demo.running import Demo

STACK = "shop"
InjectionFacts = dict[str, Any]


class Injection(BaseModel):
    """An injected incident: its start, and the facts for its proof (JSON)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    incident: str
    at: AwareDatetime
    facts: InjectionFacts

    def save(self, paths: DemoPaths) -> None:
        """Write the injection to its file."""
        write_private(paths.incidents / f"{self.incident}.json", self.model_dump_json(indent=2))

    @classmethod
    def load_all(cls, paths: DemoPaths) -> "list[Injection]":
        """Return every injection of this demo, oldest first."""
        injections = [cls.model_validate_json(file.read_text("utf-8")) for file in paths.incidents.glob("*.json")]
        return sorted(injections, key=lambda injection: injection.at)


@dataclass(frozen=True)
class IncidentProof:
    """The observed facts, and the claims about the real servers that do not hold."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    failed_claims: tuple[str, ...] = ()


def check_claims(facts: Mapping[str, Any], **claims: bool) -> IncidentProof:
    """Return a proof from named claims; underscores in their names become spaces in messages."""
    return IncidentProof(facts, tuple(claim.replace("_", " ") for claim, true in claims.items() if not true))


async def _no_cleanup(_demo: Demo) -> None:
    """Do nothing, for an incident that leaves nothing behind."""


@dataclass(frozen=True)
class Incident:
    """One kind of incident; `alert` is empty if only an operator starts its remediation.

    `inject` starts it and returns the facts; `seen` returns whether the exporter's page shows it; `prove` checks the
    real servers afterwards; `clear` removes what is left.
    """

    letter: str
    name: str
    story: str
    remediation: str
    target: str
    alert: Mapping[str, str]
    expected: Literal["fixed", "refused"]
    inject: Callable[[Demo], Awaitable[InjectionFacts]]
    seen: Callable[[ExporterPage], bool]
    prove: Callable[[Demo, Injection], Awaitable[IncidentProof]]
    clear: Callable[[Demo], Awaitable[None]] = _no_cleanup

    def raises(self, labels: Mapping[str, str]) -> bool:
        """Return whether an alert with these labels belongs to this incident."""
        return bool(self.alert) and all(labels.get(name) == value for name, value in self.alert.items())


def concerns(run: Mapping[str, Any], incident: Incident, injection: Injection) -> bool:
    """Return whether a run of the remediator's API belongs to this injection."""
    about = (run["remediation"], run["target"]) == (incident.remediation, incident.target)
    return about and datetime.fromisoformat(run["created_at"]) >= injection.at


def notifications_since(paths: DemoPaths, at: datetime) -> list[dict[str, Any]]:
    """Return the notifications since `at`: {at, channel, message}."""
    if not paths.notifications.exists():
        return []
    lines = [json.loads(line) for line in paths.notifications.read_text("utf-8").splitlines()]
    return [line for line in lines if datetime.fromisoformat(line["at"]) >= at]
