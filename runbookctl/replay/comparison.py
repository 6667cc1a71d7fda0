"""Two replays of one past side by side: for which episodes the changed settings would have decided otherwise."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.ledger.runs import Run
from remediator.model.run_state import RunState
from runbookctl.replay.play import Decision, Played

Key = tuple[str, str, str, int]  # stack, remediation, target, and which of its episodes
QUIET = frozenset({RunState.CANCELLED, RunState.ADMITTED, RunState.EXECUTING, RunState.VERIFYING, RunState.SUCCEEDED})


@dataclass(frozen=True)
class ChangedEpisode:
    """An episode that ends otherwise under the changed settings."""

    at: datetime
    stack: str
    remediation: str
    target: str
    before: str
    after: str


def changed_episodes(before: Played, after: Played) -> Sequence[ChangedEpisode]:
    """Return the episodes whose outcome differs, oldest first."""
    one, other = _outcomes(before), _outcomes(after)
    starts = {**_starts(before), **_starts(after)}
    return [
        ChangedEpisode(starts[key], key[0], key[1], key[2], one.get(key, "no episode"), other.get(key, "no episode"))
        for key in sorted(starts, key=lambda each: (starts[each], each))
        if one.get(key) != other.get(key)
    ]


def _starts(played: Played) -> Mapping[Key, datetime]:
    return {key: played.episodes[index].firing_since for key, index in _numbered(played)}


def _numbered(played: Played) -> Iterable[tuple[Key, int]]:
    """Yield the key of each episode and its place; both replays open the same episodes in the same order."""
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for index, episode in enumerate(played.episodes):
        names = episode.stack, episode.remediation, episode.target
        yield (*names, counts[names]), index
        counts[names] += 1


def _outcomes(played: Played) -> Mapping[Key, str]:
    runs: dict[int, list[Run]] = defaultdict(list)
    for run in played.runs:
        runs[run.episode].append(run)
    decisions: dict[int, list[Decision]] = defaultdict(list)
    for decision in played.decisions:
        decisions[decision.run].append(decision)
    return {key: _outcome(runs[played.episodes[index].id], decisions) for key, index in _numbered(played)}


def _outcome(runs: Sequence[Run], decisions: Mapping[int, Sequence[Decision]]) -> str:
    """Describe what came of an episode: how often it acted, and each other decision once."""
    acted = sum(run.admitted_at is not None for run in runs)
    texts = [f"acted {acted}x"] if acted else []
    texts += [_text(each) for run in runs for each in decisions[run.id] if each.state not in QUIET]
    return ", ".join(dict.fromkeys(texts)) or "nothing"


def _text(decision: Decision) -> str:
    state = str(decision.state).replace("_", " ")
    return f"{state} ({decision.reason})" if decision.reason else state
