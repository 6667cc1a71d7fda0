"""The state of a case at a moment, as expectations name it; read from the simulation's ledger."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediator.escalation.content import from_stored
from remediator.escalation.policy import steps_of
from remediator.ledger import acknowledgements, outbox
from remediator.ledger.effects import RunItem
from remediator.ledger.episodes import Episode
from remediator.ledger.runs import Run
from remediator.model.remediation import Identity, ItemState
from remediator.simulation.simulation import SentMessage, Simulation
from runbookd.inventory import Inventory

MAY_BE_TOUCHED = frozenset({ItemState.APPLIED, ItemState.INTENDED, ItemState.UNKNOWN})


@dataclass(frozen=True)
class Subject:
    """The subject of an observation; `target` is canonical."""

    stack: str
    remediation: str
    target: str


@dataclass(frozen=True)
class SeenRun(Subject):
    """A run."""

    state: str
    reason: str
    trigger: str
    found: int | None
    approved_by: str | None
    items: Mapping[str, Sequence[Identity]]
    refused_by: Mapping[str, str]
    deferred_by: Mapping[str, str]
    passed: Mapping[str, str]
    numbers: Mapping[str, Any]

    @property
    def sentences(self) -> Mapping[str, str]:
        """The sentence of each bound that was judged."""
        return {**self.passed, **self.deferred_by, **self.refused_by}

    def __str__(self) -> str:
        items = ", ".join(f"{len(identities)} {state}" for state, identities in self.items.items())
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.remediation} on {self.target}: {self.state}{reason}" + (f"; {items}" if items else "")


@dataclass(frozen=True)
class SeenEpisode(Subject):
    """An episode."""

    state: str
    alerts: Sequence[str]
    ladder: Sequence[str]
    acknowledged_by: str

    def __str__(self) -> str:
        ladder = f"; ladder: {', '.join(self.ladder)}" if self.ladder else ""
        return f"{self.remediation} on {self.target}: {self.state} ({', '.join(self.alerts)}){ladder}"


@dataclass(frozen=True)
class SeenMessage:
    """A message, once for all contacts that it went to."""

    to: Sequence[str]
    title: str
    severity: str
    text: str

    def __str__(self) -> str:
        return f"to {', '.join(self.to)}: {self.title}"


@dataclass(frozen=True)
class SeenBreaker(Subject):
    """An open breaker."""

    def __str__(self) -> str:
        return f"{self.remediation} on {self.target}"


@dataclass(frozen=True)
class Observation:
    """All that expectations can name, at one moment."""

    runs: Sequence[SeenRun]
    episodes: Sequence[SeenEpisode]
    messages: Sequence[SeenMessage]
    heard: Mapping[str, int]
    breakers: Sequence[SeenBreaker]

    @property
    def touched(self) -> int:
        """How many items all runs together have touched, or may have."""
        return sum(len(each.items.get(state, ())) for each in self.runs for state in MAY_BE_TOUCHED)


async def observe(simulation: Simulation) -> Observation:
    """Read what the case shows now, also while its ledger is out: the case looks at it from outside."""
    outage, simulation.ledger.outage = simulation.ledger.outage, None
    try:
        return await _read_all(simulation)
    finally:
        simulation.ledger.outage = outage


async def _read_all(simulation: Simulation) -> Observation:
    runs = [_seen_run(run, await simulation.items(run.id)) for run in await simulation.runs()]
    messages = await simulation.messages()
    heard: dict[str, int] = {}
    for message in messages:
        heard[message.contact] = heard.get(message.contact, 0) + 1
    breakers = [SeenBreaker(each.stack, each.remediation, each.target) for each in await simulation.open_breakers()]
    episodes = [await _seen_episode(simulation, each) for each in await simulation.episodes()]
    return Observation(runs, episodes, list(_seen_messages(messages)), heard, breakers)


def _seen_run(run: Run, items: Sequence[RunItem]) -> SeenRun:
    by_state: dict[str, list[Identity]] = {}
    for each in items:
        by_state.setdefault(str(each.state), []).append(each.item.identity)
    bounds, judged = run.evidence.get("bounds", {}), run.evidence.get("judged", {})
    return SeenRun(
        stack=run.stack,
        remediation=run.remediation,
        target=run.target,
        state=str(run.state),
        reason=run.reason,
        trigger=run.trigger,
        found=run.found,
        approved_by=run.approved_by,
        items=by_state,
        refused_by=bounds.get("refused_by", {}),
        deferred_by=bounds.get("deferred_by", {}),
        passed=judged.get("passed", {}),
        numbers=judged.get("numbers", {}),
    )


async def _seen_episode(simulation: Simulation, episode: Episode) -> SeenEpisode:
    async with simulation.ledger.read() as connection:
        notifications = await outbox.notifications_of(connection, episode.id)
        acknowledgement = await acknowledgements.open_of(connection, episode.id)
    keys = notifications.keys if notifications is not None else frozenset()
    return SeenEpisode(
        stack=episode.stack,
        remediation=episode.remediation,
        target=episode.target,
        state=episode.end_reason or "open",
        alerts=episode.alert_names,
        ladder=list(_steps(simulation.context.inventory, episode, keys)),
        acknowledged_by=acknowledgement.operator if acknowledgement is not None else "",
    )


def _steps(inventory: Inventory, episode: Episode, keys: frozenset[str]) -> Iterator[str]:
    """Yield the steps that were notified: the immediate ones with the first message, the others by their own."""
    for name, step in steps_of(inventory, episode.stack).items():
        if outbox.step_key(episode.id, name) in keys or (step.is_immediate and keys):
            yield name


def _seen_messages(messages: Sequence[SentMessage]) -> Iterator[SeenMessage]:
    groups: dict[tuple[str, object], list[SentMessage]] = {}
    for each in messages:
        groups.setdefault((each.key, each.created_at), []).append(each)
    for group in groups.values():
        content = from_stored(group[0].title, group[0].body)
        text = "\n".join([content.title, *content.facts, *content.advice, *content.plan, *content.evidence])
        yield SeenMessage([each.contact for each in group], content.title, str(content.severity), text)
