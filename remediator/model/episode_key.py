"""What an episode is about."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpisodeKey:
    """What an episode is about. `target` is canonical, or what the alert claimed where no such target exists."""

    stack: str
    remediation: str
    target: str
