"""Errors of the exporter, worded for the person on call. None of them ever holds a secret.

ExporterError
└── TargetError             a target could not be measured; costs that target's samples only
    ├── TargetMisconfigured the inventory or a secret is wrong: nothing was asked
    ├── TargetUnavailable   nobody answers at the address
    └── TargetRefused       it answers, but refuses: wrong credential, missing right, failed statement
"""

from enum import StrEnum

DEADLINE_EXCEEDED = "no answer before the deadline"


class ExporterError(Exception):
    """Base of all errors that the exporter raises itself."""


class Fault(StrEnum):
    """What kind of thing is wrong, for metrics that tell it apart."""

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
    """The inventory or a secret is wrong, so that nothing was asked."""


class TargetUnavailable(TargetError):
    """Nobody answers at the address."""

    def __str__(self) -> str:
        return f"{super().__str__().rstrip('.')}; is the address right, and is the server up?"


class TargetRefused(TargetError):
    """The target answers, but does not let us measure."""
