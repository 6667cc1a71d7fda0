"""Errors of the exporter, worded for the on-call operator and without secrets.

ExporterError
└── TargetError             a target could not be measured; costs that target's samples only
    ├── TargetMisconfigured the inventory or a secret is wrong: no request was sent
    ├── TargetUnavailable   no server answers at the address
    └── TargetRefused       it answers, but refuses: wrong credential, missing right, failed statement
"""

from enum import StrEnum

DEADLINE_EXCEEDED = "no answer before the deadline"


class ExporterError(Exception):
    """Base of the exporter's own errors."""


class Fault(StrEnum):
    """The kind of a failure, for metrics with a `reason` label."""

    OPTIONS = "options"
    ENDPOINT = "endpoint"
    REGION = "region"
    CREDENTIALS = "credentials"
    CLOCK = "clock"
    FOLDER = "folder"
    REPORT = "report"
    TIMEOUT = "timeout"
    OTHER = "other"


class TargetError(ExporterError):
    """A target could not be measured."""

    def __init__(self, message: str, fault: Fault = Fault.OTHER) -> None:
        super().__init__(message)
        self.fault = fault


class TargetMisconfigured(TargetError):
    """The inventory or a secret is wrong; no request was sent."""


class TargetUnavailable(TargetError):
    """No server answers at the address; the text ends in a remedy, of its own or this one."""

    def __str__(self) -> str:
        text = super().__str__().rstrip(".")
        return text if "; " in text else f"{text}; check the address, and that the server is up"


class TargetRefused(TargetError):
    """The target answers, but refuses to be measured."""
