"""The identity of an episode."""

from dataclasses import dataclass

UNKNOWN_NAME = "(unknown)"  # in place of names that alerts have made up, and of targets that no longer have runs
ALERTS = "alerts"
"""The kind of target of an episode about an alert that no remediation repairs."""


@dataclass(frozen=True)
class EpisodeKey:
    """The identity of an episode.

    `target` is canonical, or as the alert named it if no such target exists.
    """

    stack: str
    remediation: str
    target: str

    @property
    def is_about_an_alert(self) -> bool:
        """Whether the target is an alert of the stack, in place of a part of it."""
        return self.target.startswith(f"{self.stack}/{ALERTS}/")
