"""The remediations: one verb a file, and this one map."""

from remediator.remediations.base import Remediation

REMEDIATIONS: dict[str, Remediation] = {}
