"""The last attempts of this process to reach each contact."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class ContactAttempts:
    """When a contact last accepted a message, and when and why it last did not."""

    accepted_at: datetime | None = None
    failed_at: datetime | None = None
    problem: str = ""


@dataclass
class ContactLog:
    """The attempts, by contact, and the recipients that have a message whose other recipients refused it."""

    attempts: dict[str, ContactAttempts] = field(default_factory=dict)
    _recipients: dict[int, set[int]] = field(default_factory=dict)

    def of(self, contact: str) -> ContactAttempts:
        """Return the attempts to reach a contact since the start."""
        return self.attempts.get(contact, ContactAttempts())

    def note(self, contact: str, now: datetime, problem: str | None) -> None:
        """Note an attempt; `problem` is None if the contact accepted the message."""
        attempts = self.attempts.setdefault(contact, ContactAttempts())
        if problem is None:
            attempts.accepted_at = now
        else:
            attempts.failed_at, attempts.problem = now, problem

    def recipients_of(self, message: int) -> set[int]:
        """Return the set of a message's recipients that have it, to add to."""
        return self._recipients.setdefault(message, set())

    def forget(self, message: int) -> None:
        """Forget the recipients of a message that all of them have."""
        self._recipients.pop(message, None)
