"""Errors of the remediator, worded for the on-call.

RemediatorError
├── TargetUnreachable    the target does not answer, or refuses the remediator
│   └── TargetUnknown    the target answers, but has nothing of the name in the alert
├── BackupUnreadable     a backup is damaged, cut, or encrypted for another key
│   └── BackupLocked     a backup is encrypted, and no key of ours opens it
├── RunRefused           the target answers, and a run on it would be wrong
├── LedgerUnavailable    the ledger cannot be read or written: no run may act
├── MalformedDelivery    a webhook body that is not Alertmanager's
│   └── TooManyAlerts    a delivery with more alerts than allowed
├── NoSuchRun            an operator named a run that does not exist
├── NoSuchEpisode        an operator named an episode that does not exist
├── NoSuchQuestion       an operator named a question that does not exist
├── NoSuchTarget         an operator named a target or a remediation that does not exist
├── InvalidParameter     an operator set a parameter that does not exist, or a value that is not allowed
├── WrongState           an operator requested an action that the run's state, or the question's, does not allow
├── RoleTooLow           the operator's role does not allow the requested action
└── OperatorRemoved      a reload has removed the operator who requests an action
"""


class RemediatorError(Exception):
    """Base of all errors that the remediator raises itself."""


class TargetUnreachable(RemediatorError):
    """The target cannot be read: address, credential, right, or no answer in time."""


class TargetUnknown(TargetUnreachable):
    """The target answers, but has nothing of the name in the alert."""


class BackupUnreadable(RemediatorError):
    """A backup is damaged, cut, or encrypted for another key; the message says so without the name of the backup."""


class BackupLocked(BackupUnreadable):
    """A backup is encrypted, and no key of ours opens it; that says nothing about the backup."""


class RunRefused(RemediatorError):
    """The target answers, and what it says refuses the run; `reason` is one word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class LedgerUnavailable(RemediatorError):
    """The ledger cannot be read or written, so nothing is accepted or done."""


class MalformedDelivery(RemediatorError):
    """The body is not an Alertmanager webhook delivery of version 4."""


class TooManyAlerts(MalformedDelivery):
    """The delivery has more alerts than MAX_ALERTS."""


class NoSuchRun(RemediatorError):
    """There is no run with this number."""


class NoSuchEpisode(RemediatorError):
    """There is no episode with this number."""


class NoSuchQuestion(RemediatorError):
    """There is no question with this number."""


class NoSuchTarget(RemediatorError):
    """The inventory has no such target, or there is no such remediation."""


class InvalidParameter(RemediatorError):
    """The remediation has no such parameter, or the value is not allowed."""


class WrongState(RemediatorError):
    """The state of the run or the question does not allow the requested action."""


class RoleTooLow(RemediatorError):
    """The operator's role does not allow the requested action."""


class OperatorRemoved(RemediatorError):
    """A reload has removed the operator from the inventory."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the inventory has no operator {name!r} any longer; use the token of another operator")
