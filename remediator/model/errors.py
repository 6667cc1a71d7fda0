"""Errors of the remediator, worded for the person on call.

RemediatorError
├── TargetUnreachable    the thing to be remediated does not answer, or refuses us
│   └── TargetUnknown    what the alert names is not there
├── LedgerUnavailable    the ledger can not be written: nothing may be acted on
├── MalformedDelivery    a webhook body that is not Alertmanager's
│   └── TooManyAlerts    one that has more alerts than a delivery may have
├── NoSuchRun            a person asked for a run that does not exist
└── WrongState           a person asked for something that this run's state does not allow
"""


class RemediatorError(Exception):
    """Base of all errors that the remediator raises itself."""


class TargetUnreachable(RemediatorError):
    """The target can not be read: wrong address, wrong credential, missing right, or no answer in time."""


class TargetUnknown(TargetUnreachable):
    """What answers has nothing of the name that the alert claims."""


class LedgerUnavailable(RemediatorError):
    """The ledger can not be read or written, so nothing is accepted and nothing is done."""


class MalformedDelivery(RemediatorError):
    """The body is not an Alertmanager webhook delivery of version 4."""


class TooManyAlerts(MalformedDelivery):
    """The delivery has more alerts than we take at once."""


class NoSuchRun(RemediatorError):
    """There is no run with this number."""


class WrongState(RemediatorError):
    """The run is not in a state in which that is possible."""
