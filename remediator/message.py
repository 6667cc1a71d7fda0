"""What people read: a title and a text that say what happened, what was tried, and what to do next."""

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from inventory import format_duration
from remediator.diagnostics.masking import mask_text
from remediator.ledger import audit, control, runs
from remediator.ledger.episodes import Episode
from remediator.ledger.outbox import Told
from remediator.ledger.runs import Run, RunItem
from remediator.states import RunState
from remediator.targets import claimed
from remediator.world import World

SHOWN_ITEMS = 20
SHOWN_RUNS = 10
MAX_LINK = 2_000
MAX_WORDS = 1_000  # characters of one item's identity, evidence or detail
Message = tuple[str, str]

_WHAT_NEXT = {
    RunState.PLANNED: "Its plan is being read.",
    RunState.PRECHECKED: "Its bounds are being asked.",
    RunState.DEFERRED: "It waits for what defers it and for the alert's next delivery; after an hour it expires.",
    RunState.AWAITING_APPROVAL: "Nothing was touched. Look at the plan, then say yes or no: runbookctl approve {id}",
    RunState.ADMITTED: "All bounds are passed; its first effect comes next.",
    RunState.EXECUTING: "It is touching its items.",
    RunState.VERIFYING: "Its items are touched; the reading that made the plan is taken again.",
    RunState.SHADOW: "The mode is shadow: it only plans and records. Approve or auto in the inventory let it act.",
    RunState.REFUSED: "Nothing was touched. Look at the target, then follow the runbook.",
    RunState.NOTHING_TO_DO: "Nothing was touched, and nothing will be: it needs a person. Follow the runbook.",
    RunState.SUCCEEDED: "Nothing: the reading that made the plan came back clean.",
    RunState.INEFFECTIVE: "It did not help, or was applied only in part. The breaker is open until a person closes it.",
    RunState.FAILED: "Nothing was applied. It may be tried again after its cooldown, unless its breaker has opened.",
    RunState.UNKNOWN: "Nobody can tell what was applied. Look at the target before anything else.",
    RunState.INTERRUPTED: "It was stopped between two effects. The alert's next delivery plans afresh.",
    RunState.CANCELLED: "Nothing: it was called off before it touched anything.",
    RunState.EXPIRED: "It waited too long and was given up. Nothing was touched.",
    RunState.REJECTED: "Nothing was touched: a person said no.",
}
_CLEAN = "Nothing: there was nothing to touch."
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


def what_next(run: Run) -> str:
    """What a person does about a run in this state, in a sentence or two."""
    if run.state is RunState.NOTHING_TO_DO and not run.reason:
        return _CLEAN
    return _WHAT_NEXT[run.state].format(id=run.id)


async def _about(connection: AsyncConnection, world: World, run: Run, episode: Episode) -> list[str]:
    stack = world.inventory.stacks.get(run.stack)
    lines = _lines(run, episode, await runs.items(connection, run.id))
    lines += await _open_breaker(connection, episode)
    lines.append(f"runbook: {_annotated(episode, 'runbook_url', stack.runbook_url if stack else '')}")
    lines.append(f"dashboard: {_annotated(episode, 'dashboard_url', stack.dashboard_url if stack else '')}")
    lines.append(f"audit head: {await audit.head(connection)}")
    return lines


async def _open_breaker(connection: AsyncConnection, episode: Episode) -> list[str]:
    why = await control.breaker_reason(connection, episode.key)
    command = shlex.join(["runbookctl", "breaker", "close", episode.remediation, episode.target])
    return [f"The breaker is open ({why}): {command}"] if why is not None else []


def _lines(run: Run, episode: Episode, items: Sequence[RunItem]) -> list[str]:
    alerts = sorted({claimed(str(entry["labels"].get("alertname", "?"))) for entry in episode.alerts.values()})
    lines = [
        f"run {run.id}, alerts: {', '.join(alerts)}, firing since {episode.firing_since:%Y-%m-%d %H:%M:%S} UTC",
        f"what next: {what_next(run)}",
    ]
    if episode.ended_at is not None:
        lines.append(f"meanwhile: {_ENDS.get(episode.end_reason or '', '')}")
    if run.found is not None:
        lines.append(f"plan: {run.found} found, {len(items)} listed")
    lines += [_item_line(run, item) for item in items[:SHOWN_ITEMS]]
    if len(items) > SHOWN_ITEMS:
        lines.append(f"  … and {len(items) - SHOWN_ITEMS} more: runbookctl run {run.id}")
    return lines + [f"{name}: {_short(value)}" for name, value in run.evidence.items() if value]


def _item_line(run: Run, item: RunItem) -> str:
    detail = _cut(item.detail)
    return f"  {item.state}: {_short(_identity(run, item))} {_short(item.item.evidence)} {detail}".rstrip()


def _identity(run: Run, item: RunItem) -> Mapping[str, Any]:
    """An application names its jobs as it likes, after people too; what is acted on stays as it is."""
    if not run.target.startswith(f"{run.stack}/queues/"):
        return item.item.identity
    return {name: mask_text(value) if isinstance(value, str) else value for name, value in item.item.identity.items()}


def _short(value: Any) -> str:
    """`value` in one line of JSON; what people read is not the place for a thousand rows."""
    text = json.dumps(dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False, default=str)
    return _cut(text)


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
