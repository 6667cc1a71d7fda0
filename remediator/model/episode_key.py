"""The identity of an episode."""

from dataclasses import dataclass

UNKNOWN_NAME = "(unknown)"  # in place of names that alerts have made up, and of targets that no longer have runs


@dataclass(frozen=True)
class EpisodeKey:
    """The identity of an episode.

    `target` is canonical, or as the alert named it if no such target exists.
    """

    stack: str
    remediation: str
    target: str
