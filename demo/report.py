"""The report of one loop: what each incident came to, and what is missing from what it should have come to."""

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
    """What became of one incident; `failure` says why it was not followed to its end."""

    incident: Incident
    timeline: Timeline | None = None
    proof: IncidentProof | None = None
    failure: str = ""

    def missing(self) -> list[str]:
        """What is missing, each in a few words; empty where all is as it should be."""
        return [f"{self.incident.name}: {what}" for what in self._missing()]

    def _missing(self) -> list[str]:
        if self.timeline is None or self.proof is None:
            return [self.failure or "was not followed"]
        missing = [f"never reached: {step}" for step in self.timeline.missing_steps()]
        if self.final_state != EXPECTED_END[self.incident.expected]:
            missing.append(f"the run ended as {self.final_state}, not as {EXPECTED_END[self.incident.expected]}")
        return missing + [f"not true: {claim}" for claim in self.proof.failed_claims]

    @property
    def final_state(self) -> str:
        """How the deciding run ended, with the bound that refused it."""
        if self.timeline is None:
            return "no run"
        return " by ".join(filter(None, (self.timeline.outcome, self.timeline.refused_by))) or "no run"

    def as_json(self) -> dict[str, Any]:
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
    """The whole report: {ok, missing, seconds, incidents: {letter: …}}."""
    missing = [what for result in results for what in result.missing()]
    return {
        "ok": not missing,
        "missing": missing,
        "seconds": round(seconds, 1),
        "incidents": {result.incident.letter: result.as_json() for result in results},
    }


def save_report(paths: DemoPaths, report: dict[str, Any]) -> None:
    write_private(paths.report, json.dumps(report, indent=2) + "\n")
