"""The time at which an incident reached each step of the loop, in seconds since injection."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from demo.incidents import Incident, Injection
from demo.incidents.base import concerns

GOOD_END = "succeeded"


class Step(StrEnum):
    """The steps of the loop, in order."""

    SEEN = "seen in /metrics"
    PENDING = "pending"
    FIRING = "firing"
    DELIVERED = "delivered"
    PLANNED = "planned"
    BOUNDS = "bounds"
    APPLIED = "applied"
    VERIFIED = "verified"
    RESOLVED = "resolved"


REQUIRED_STEPS = {
    "fixed": tuple(Step),
    "refused": (Step.SEEN, Step.PENDING, Step.FIRING, Step.DELIVERED, Step.PLANNED, Step.BOUNDS),
}
# The step for each state in a run's history. The bounds are evaluated, whether they refuse or admit.
STEP_OF_STATE = {"refused": Step.BOUNDS, "admitted": Step.BOUNDS, "verifying": Step.APPLIED, "succeeded": Step.VERIFIED}
Listener = Callable[["Timeline", Step], None]


@dataclass
class Timeline:
    """The progress of one incident through the loop."""

    incident: Incident
    injection: Injection
    listener: Listener
    steps: dict[Step, float] = field(default_factory=dict)
    refused_by: str = ""
    outcome: str = ""
    alerted: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """The name of the incident."""
        return self.incident.name

    def mark(self, step: Step, at: datetime) -> None:
        """Record the first time that `step` was reached."""
        if step not in self.steps:
            self.steps[step] = round(max(0.0, (at - self.injection.at).total_seconds()), 2)
            self.listener(self, step)
            self.changed.set()

    def read_run(self, run: Mapping[str, Any]) -> None:
        """Record the steps in a run from the remediator's API."""
        self.refused_by = run["reason"] if run["state"] == "refused" else ""
        self.outcome = run["state"]
        for step, at in ((Step.DELIVERED, run["delivered_at"]), (Step.PLANNED, run["created_at"])):
            if at:
                self.mark(step, datetime.fromisoformat(at))
        for entry in run["history"]:
            if entry["state"] in STEP_OF_STATE:
                self.mark(STEP_OF_STATE[entry["state"]], datetime.fromisoformat(entry["at"]))

    def missing_steps(self) -> list[Step]:
        """Return the required steps that the incident has not reached."""
        return [step for step in REQUIRED_STEPS[self.incident.expected] if step not in self.steps]

    async def wait_for(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Wait for `condition` until `deadline` (event loop's clock); return whether it holds."""
        try:
            async with asyncio.timeout_at(deadline):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True


def deciding_run(runs: list[dict[str, Any]], incident: Incident, injection: Injection) -> dict[str, Any] | None:
    """Return the deciding run: the first with the expected end, else the newest."""
    good = "refused" if incident.expected == "refused" else GOOD_END
    own = [run for run in runs if concerns(run, incident, injection)]
    good_runs = [run for run in own if run["state"] == good]
    return good_runs[-1] if good_runs else (own[0] if own else None)
