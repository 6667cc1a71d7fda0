"""What an incident is to the demo: how to make it, how it looks from outside, and how its end is proved."""

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
    """One incident that was made: when it began, and what its proof must know later (JSON)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    incident: str
    at: AwareDatetime
    facts: InjectionFacts

    def save(self, paths: DemoPaths) -> None:
        write_private(paths.incidents / f"{self.incident}.json", self.model_dump_json(indent=2))

    @classmethod
    def load_all(cls, paths: DemoPaths) -> "list[Injection]":
        """Every injection of this demo, the oldest first."""
        injections = [cls.model_validate_json(file.read_text("utf-8")) for file in paths.incidents.glob("*.json")]
        return sorted(injections, key=lambda injection: injection.at)


@dataclass(frozen=True)
class IncidentProof:
    """Whether the real thing is as it should be, and what was seen there; `failed_claims` says what is not."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    failed_claims: tuple[str, ...] = ()


def check_claims(facts: Mapping[str, Any], **claims: bool) -> IncidentProof:
    """A proof that holds when all `claims` do. Underscores of a claim become spaces in what people read."""
    return IncidentProof(facts, tuple(claim.replace("_", " ") for claim, true in claims.items() if not true))


async def _no_cleanup(_demo: Demo) -> None:
    """For an incident that leaves nothing behind once it is fixed."""


@dataclass(frozen=True)
class Incident:
    """One kind of incident.

    `inject` makes it and returns the facts; `seen` tells from the exporter's page whether it shows; `prove` looks at
    the real thing afterwards; `clear` ends what is left of it.
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
        """Whether an alert with these labels is this incident's."""
        return all(labels.get(name) == value for name, value in self.alert.items())


def concerns(run: Mapping[str, Any], incident: Incident, injection: Injection) -> bool:
    """Whether a run of the remediator's API is about this incident."""
    about = (run["remediation"], run["target"]) == (incident.remediation, incident.target)
    return about and datetime.fromisoformat(run["created_at"]) >= injection.at


def notifications_since(paths: DemoPaths, at: datetime) -> list[dict[str, Any]]:
    """What people were told since then: {at, channel, message}."""
    if not paths.notifications.exists():
        return []
    lines = [json.loads(line) for line in paths.notifications.read_text("utf-8").splitlines()]
    return [line for line in lines if datetime.fromisoformat(line["at"]) >= at]
