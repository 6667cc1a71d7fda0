"""What people read: a title and a text that say what happened, what was tried, and what to do next."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import World
from remediator.diagnostics.masking import mask_text
from remediator.escalation.advice import what_next
from remediator.ledger import audit, runs, switches
from remediator.ledger.episodes import Episode
from remediator.ledger.outbox import Told
from remediator.ledger.runs import Run, RunItem
from remediator.model.logfmt import pairs, plain
from remediator.model.target import claimed
from runbookd.inventory import format_duration

SHOWN_ITEMS = 10
SHOWN_RUNS = 10
MAX_LINK = 2_000
MAX_WORDS = 1_000  # characters of one item's identity, evidence or detail
Message = tuple[str, str]
# Evidence that `_why` has told already; and what the rest is called.
_SAID = frozenset({"bounds", "error", "stopped"})
_NAMES = {"plan": "seen when planning"}

_ENDS = {"resolved": "The alert has resolved.", "vanished": "Nothing shows the alert firing any more."}


async def run_message(connection: AsyncConnection, world: World, run: Run, episode: Episode) -> Message:
    """About one run that needs a person."""
    title = f"[{run.stack}] {run.remediation} on {run.target}: {run.state}" + (f" ({run.reason})" if run.reason else "")
    return title, "\n".join(await _about(connection, world, run, episode))


async def step_message(
    connection: AsyncConnection, world: World, episode: Episode, last: Run, told: Told, now: datetime
) -> Message:
    """To the next people: how long it has lasted, who knows of it, what has been tried, and where it stands."""
    lasted = format_duration(_whole(now - told.since))
    tried = await runs.of_episode(connection, episode.id)
    lines = [
        f"unresolved {lasted} after people were first told; told so far: {', '.join(sorted(told.contacts))}",
        f"runs so far: {len(tried)}",
        *(
            f"  run {each.id} of {each.created_at:%H:%M:%S}: {each.state} {each.reason}".rstrip()
            for each in tried[-SHOWN_RUNS:]
        ),
    ]
    title = f"[{episode.stack}] unresolved for {lasted}: {episode.remediation} on {episode.target}"
    return title, "\n".join([*lines, *await _about(connection, world, last, episode)])


async def end_message(connection: AsyncConnection, episode: Episode, reason: str, now: datetime) -> Message:
    """The short note to everybody who had been told."""
    tried = await runs.of_episode(connection, episode.id)
    lines = [f"{_ENDS.get(reason, reason)} It lasted {format_duration(_whole(now - episode.firing_since))}."]
    lines += [f"last run: {each.id}, {each.state} {each.reason}".rstrip() for each in tried[-1:]]
    lines += await _open_breaker(connection, episode)
    return f"[{episode.stack}] {reason}: {episode.remediation} on {episode.target}", "\n".join(lines)


async def _about(connection: AsyncConnection, world: World, run: Run, episode: Episode) -> list[str]:
    """What decides comes first: a phone shows the first lines, and some services cut the rest off."""
    stack = world.inventory.stacks.get(run.stack)
    breaker = [] if "breaker close" in what_next(run) else await _open_breaker(connection, episode)
    alerts = sorted({claimed(str(entry["labels"].get("alertname", "?"))) for entry in episode.alerts.values()})
    lines = [
        f"run {run.id}, alerts: {', '.join(alerts)}, firing since {episode.firing_since:%Y-%m-%d %H:%M:%S} UTC",
        *(f"why: {why}" for why in _why(run)),
        f"what next: {what_next(run)}",
        *breaker,
    ]
    if episode.ended_at is not None:
        lines.append(f"meanwhile: {_ENDS.get(episode.end_reason or '', '')}")
    lines.append(f"runbook: {_annotated(episode, 'runbook_url', stack.runbook_url if stack else '')}")
    lines.append(f"dashboard: {_annotated(episode, 'dashboard_url', stack.dashboard_url if stack else '')}")
    lines += _tried(run, await runs.items(connection, run.id))
    lines.append(f"audit head: {await audit.head(connection)}")
    return lines


async def _open_breaker(connection: AsyncConnection, episode: Episode) -> list[str]:
    why = await switches.breaker_reason(connection, episode.key)
    command = shlex.join(["runbookctl", "breaker", "close", episode.remediation, episode.target])
    return [f"The breaker is open ({why}): {command}"] if why is not None else []


def _why(run: Run) -> Iterator[str]:
    """Each bound that stood in the way, with its numbers; or what went wrong."""
    bounds = run.evidence.get("bounds", {})
    for then, stopping in (("refuses", "refused_by"), ("defers", "deferred_by")):
        for name, detail in bounds.get(stopping, {}).items():
            yield f"{name} {then}: {_cut(detail)}"
    for name in ("error", "stopped"):
        if run.evidence.get(name):
            yield f"{name}: {_cut(str(run.evidence[name]))}"


def _tried(run: Run, items: Sequence[RunItem]) -> Iterator[str]:
    """The plan, what became of its items, and the proof."""
    if run.found is not None:
        yield f"plan: {run.found} found, {len(items)} listed"
    yield from (_item_line(run, item) for item in items[:SHOWN_ITEMS])
    if len(items) > SHOWN_ITEMS:
        yield f"  … and {len(items) - SHOWN_ITEMS} more: runbookctl run {run.id}"
    for name, value in run.evidence.items():
        if value and name not in _SAID:
            yield f"{_NAMES.get(name, name)}: {_cut(pairs(value) if isinstance(value, Mapping) else plain(value))}"


def _item_line(run: Run, item: RunItem) -> str:
    shown = _cut(pairs({**_identity(run, item), **item.item.evidence}))
    return f"  {item.state}: {shown} {_cut(item.detail)}".rstrip()


def _identity(run: Run, item: RunItem) -> Mapping[str, Any]:
    """An application names its jobs as it likes, after people too; what is acted on stays as it is."""
    if not run.target.startswith(f"{run.stack}/queues/"):
        return item.item.identity
    return {name: mask_text(value) if isinstance(value, str) else value for name, value in item.item.identity.items()}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}…"


def _annotated(episode: Episode, name: str, fallback: str) -> str:
    """The alerts know the very section; the inventory knows the document."""
    for entry in episode.alerts.values():
        if entry["annotations"].get(name):
            return claimed(str(entry["annotations"][name]), MAX_LINK)
    return fallback or "none is known"


def _whole(span: timedelta) -> timedelta:
    return timedelta(seconds=max(0, int(span.total_seconds())))
