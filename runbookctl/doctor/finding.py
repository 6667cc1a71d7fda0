"""What the doctor finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something missing or too wide, and what repairs it: a statement of the target's own language, or words."""

    problem: str
    repair: str


@dataclass(frozen=True)
class Report:
    """What was found at one target; nothing if it is fine."""

    target: str
    findings: tuple[Finding, ...]
