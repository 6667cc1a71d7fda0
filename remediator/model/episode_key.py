"""The identity of an episode."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpisodeKey:
    """The identity of an episode.

    `target` is canonical, or as the alert named it if no such target exists.
    """

    stack: str
    remediation: str
    target: str
