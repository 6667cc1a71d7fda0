"""Errors of the exporter, worded for the person on call. None of them ever holds a secret.

ExporterError
└── TargetError             a target could not be measured; costs that target's samples only
    ├── TargetMisconfigured the inventory or a secret is wrong: nothing was asked
    ├── TargetUnreachable   nobody answers at the address
    └── TargetRefused       it answers, but refuses: wrong credential, missing right, failed statement
"""


class ExporterError(Exception):
    """Base of all errors that the exporter raises itself."""


class TargetError(ExporterError):
    """A target could not be measured."""


class TargetMisconfigured(TargetError):
    """The inventory or a secret is wrong, so that nothing was asked."""


class TargetUnreachable(TargetError):
    """Nobody answers at the address."""

    def __str__(self) -> str:
        return f"{super().__str__().rstrip('.')}; is the address right, and is the server up?"


class TargetRefused(TargetError):
    """The target answers, but does not let us measure."""
