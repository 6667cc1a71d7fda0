"""The report of one loop: each incident's end, and its differences from the expected end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from demo.incidents import Incident, IncidentProof
from demo.paths import DemoPaths, write_private
from demo.timeline import Step, Timeline

EXPECTED_END = {"fixed": "succeeded", "refused": "refused by max_items"}


@dataclass(frozen=True)
class Result:
    """The result of one incident. `failure` is the reason if it was not followed to its end."""

    incident: Incident
    timeline: Timeline | None = None
    proof: IncidentProof | None = None
    failure: str = ""

    def missing(self) -> list[str]:
        """Return the problems, each in a few words; empty if the incident ended as expected."""
        return [f"{self.incident.name}: {what}" for what in self._missing()]

    def _missing(self) -> list[str]:
        if self.timeline is None or self.proof is None:
            return [self.failure or "not followed"]
        missing = [f"step not reached: {step}" for step in self.timeline.missing_steps()]
        if self.final_state != EXPECTED_END[self.incident.expected]:
            missing.append(f"the run ended as {self.final_state}, expected {EXPECTED_END[self.incident.expected]}")
        return missing + [f"not proven: {claim}" for claim in self.proof.failed_claims]

    @property
    def final_state(self) -> str:
        """The final state of the deciding run, with the bound that refused it."""
        if self.timeline is None:
            return "no run"
        return " by ".join(filter(None, (self.timeline.outcome, self.timeline.refused_by))) or "no run"

    def as_json(self) -> dict[str, Any]:
        """Return the incident's part of the report."""
        steps = self.timeline.steps if self.timeline else {}
        return {
            "name": self.incident.name,
            "expected": self.incident.expected,
            "remediation": self.incident.remediation,
            "target": self.incident.target,
            "steps": {step.name.lower(): steps[step] for step in Step if step in steps},
            "outcome": self.timeline.outcome if self.timeline else "",
            "refused_by": self.timeline.refused_by if self.timeline else "",
            "proof": dict(self.proof.facts) if self.proof else {},
            "missing": self.missing(),
        }


def build_report(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """Return the whole report: {ok, missing, seconds, incidents: {letter: …}}."""
    missing = [what for result in results for what in result.missing()]
    return {
        "ok": not missing,
        "missing": missing,
        "seconds": round(seconds, 1),
        "incidents": {result.incident.letter: result.as_json() for result in results},
    }


def save_report(paths: DemoPaths, report: dict[str, Any]) -> None:
    """Write the report to its file."""
    write_private(paths.report, json.dumps(report, indent=2) + "\n")
