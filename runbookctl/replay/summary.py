"""The result of a replay in numbers: how often each remediation would have acted, and what would have stopped it."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from remediator.ledger.episodes import Episode
from remediator.ledger.runs import Run
from remediator.model.run_state import UNKNOWN_TARGET, RunState
from remediator.model.target import settings_of
from runbookctl.replay.play import Decision, Played
from runbookd.inventory import Inventory

HOUR = timedelta(hours=1)
SHORT = timedelta(minutes=5)  # an alert that ends by itself within it is one that min_firing could leave alone
ASKED = RunState.AWAITING_APPROVAL


@dataclass(frozen=True)
class BusiestHour:
    """The hour with the most admitted runs."""

    start: datetime
    runs: int


@dataclass(frozen=True)
class Stopped:
    """The decisions that one bound has stopped, and when, oldest first."""

    bound: str
    moments: Sequence[datetime]


@dataclass(frozen=True)
class RemediationSummary:
    """One remediation of one stack in the replay.

    `acted` are the runs that were admitted. Only the first of an episode is sure to be one: the recorded alert goes on
    although it acted, so the `again` runs assume that it did not help. `gone` are the episodes that ended by themselves
    while a run waited to act, `short` those that lasted less than SHORT.
    """

    stack: str
    remediation: str
    mode: str
    episodes: int
    acted: int
    first: int
    would_act_in_shadow: int
    asked: int
    nothing_to_do: int
    refused: Sequence[Stopped]
    deferred: Sequence[Stopped]
    gone: int
    short: int
    sizes: Mapping[str, int]
    busiest_hour: BusiestHour | None
    items: int

    @property
    def again(self) -> int:
        """The runs after the first of an episode."""
        return self.acted - self.first


@dataclass(frozen=True)
class Summary:
    """All remediations of a replay, and what concerns all of them."""

    remediations: Sequence[RemediationSummary]
    busiest_hour: BusiestHour | None
    storms: Sequence[tuple[datetime, str]]
    unknown_targets: Mapping[str, int] = field(default_factory=dict)


def summarize(played: Played, inventory: Inventory) -> Summary:
    """Count what a replay has shown."""
    runs_by_key, episodes_by_key = defaultdict(list), defaultdict(list)
    is_known = {run.id: run.reason != UNKNOWN_TARGET for run in played.runs}
    unknown_episodes = {run.episode for run in played.runs if not is_known[run.id]}
    for run in played.runs:
        if is_known[run.id] and not run.is_about_an_alert:
            runs_by_key[run.stack, run.remediation].append(run)
    for episode in played.episodes:
        if episode.id not in unknown_episodes and not episode.key.is_about_an_alert:
            episodes_by_key[episode.stack, episode.remediation].append(episode)
    decisions = defaultdict(list)
    for decision in played.decisions:
        decisions[decision.run].append(decision)
    summaries = [
        _summarize(key, inventory, episodes_by_key[key], runs, decisions) for key, runs in sorted(runs_by_key.items())
    ]
    unknown = dict(Counter(f"{run.remediation} on {run.target}" for run in played.runs if not is_known[run.id]))
    acting = [run for runs in runs_by_key.values() for run in runs]
    return Summary(summaries, busiest_hour(acting), played.storms, unknown)


def _summarize(
    key: tuple[str, str],
    inventory: Inventory,
    episodes: Sequence[Episode],
    runs: Sequence[Run],
    decisions: Mapping[int, Sequence[Decision]],
) -> RemediationSummary:
    admitted = [run for run in runs if run.admitted_at is not None]
    all_decisions = [decision for run in runs for decision in decisions[run.id]]
    acted_on = {run.episode for run in admitted}
    ended = [each for each in episodes if each.ended_at is not None]
    return RemediationSummary(
        stack=key[0],
        remediation=key[1],
        mode=str(settings_of(inventory.stacks[key[0]], key[1]).mode),
        episodes=len(episodes),
        acted=len(admitted),
        first=len(acted_on),
        would_act_in_shadow=_count(all_decisions, RunState.SHADOW, reason=""),
        asked=_count(all_decisions, ASKED),
        nothing_to_do=_count(all_decisions, RunState.NOTHING_TO_DO),
        refused=_stopped(all_decisions, RunState.REFUSED, RunState.SHADOW),
        deferred=_stopped(all_decisions, RunState.DEFERRED),
        gone=len({run.episode for run in runs if run.state is RunState.CANCELLED} - acted_on),
        short=sum(each.ended_at - each.firing_since < SHORT for each in ended if each.ended_at is not None),
        sizes=dict(Counter(size for run in runs if (size := _size_of(run)) is not None)),
        busiest_hour=busiest_hour(runs),
        items=sum(run.found or 0 for run in admitted if _size_of(run) != "unknown"),
    )


def busiest_hour(runs: Iterable[Run]) -> BusiestHour | None:
    """Return the first hour in which most runs were admitted; it begins with one of them."""
    times = sorted(run.admitted_at for run in runs if run.admitted_at is not None)
    counts = [bisect_left(times, at + HOUR) - index for index, at in enumerate(times)]
    if not counts:
        return None
    most = max(counts)
    return BusiestHour(times[counts.index(most)], most)


def _count(decisions: Iterable[Decision], state: RunState, reason: str | None = None) -> int:
    return sum(each.state is state and (reason is None or each.reason == reason) for each in decisions)


def _stopped(decisions: Iterable[Decision], *states: RunState) -> Sequence[Stopped]:
    moments = defaultdict(list)
    for each in decisions:
        if each.state in states and each.reason:
            moments[each.reason].append(each.at)
    most_first = sorted(moments.items(), key=lambda each: (-len(each[1]), each[0]))
    return [Stopped(bound, sorted(times)) for bound, times in most_first]


def _size_of(run: Run) -> str | None:
    """Return where the size of its plan came from; None if no plan was read."""
    plan = run.evidence.get("plan")
    return str(plan["size"]) if isinstance(plan, Mapping) and "size" in plan else None
