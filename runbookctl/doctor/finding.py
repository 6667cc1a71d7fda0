"""The doctor's findings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A right that is missing or too wide. `repair` is a statement to run, or an instruction.

    An optional one only adds numbers; if a threshold needs them, the alert MetricMissing says so.
    """

    problem: str
    repair: str
    optional: bool = False


@dataclass(frozen=True)
class Report:
    """The findings for one target; none if it is fine.

    `notes` tell which of its numbers the exporter leaves out, and why; a server may lack them for good.
    """

    target: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
