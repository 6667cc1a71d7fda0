"""Hands a problem to people, with everything that was tried."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit, outbox, runs
from remediator.ledger.episodes import Episode
from remediator.ledger.runs import Run, RunItem
from remediator.states import RunState
from remediator.world import World

SHOWN_ITEMS = 20
QUIET_REASONS = frozenset({"mode_off"})  # what a person has switched off needs no message

# The others repeat while nothing changes; one message an episode says it.
EACH_TIME = frozenset({RunState.AWAITING_APPROVAL, RunState.INEFFECTIVE, RunState.UNKNOWN, RunState.EXPIRED})

_WHAT_NEXT = {
    RunState.REFUSED: "Nothing was touched. Look at the target, then follow the runbook.",
    RunState.AWAITING_APPROVAL: "Nothing was touched. Look at the plan, then approve or reject it.",
    RunState.INEFFECTIVE: "The fix was applied and did not help. The breaker is open until a person closes it.",
    RunState.FAILED: "Nothing was applied. It may be tried again after its cooldown.",
    RunState.UNKNOWN: "Nobody can tell what was applied. Look at the target before anything else.",
    RunState.EXPIRED: "It waited too long and was given up. Nothing was touched.",
}


async def escalate(connection: AsyncConnection, world: World, run: Run, episode: Episode) -> None:
    """Queue a message about `run` in the transaction that moved it; what repeats, once an episode."""
    if run.reason in QUIET_REASONS:
        return
    title = f"[{run.stack}] {run.remediation} on {run.target}: {run.state}" + (f" ({run.reason})" if run.reason else "")
    stack = world.inventory.stacks.get(run.stack)
    lines = _lines(run, episode, await runs.items(connection, run.id), stack.runbook_url if stack else "")
    body = "\n".join([*lines, f"audit head: {await audit.head(connection)}"])
    key = f"{episode.id}/{run.state}/{run.reason}" + (f"/{run.id}" if run.state in EACH_TIME else "")
    await outbox.put(connection, key, world.inventory.contacts, title, body, world.clock.now())


def _lines(run: Run, episode: Episode, items: Sequence[RunItem], runbook_url: str) -> list[str]:
    alerts = sorted({str(entry["labels"].get("alertname", "?")) for entry in episode.alerts.values()})
    lines = [
        f"run {run.id}, alerts: {', '.join(alerts)}, firing since {episode.firing_since:%Y-%m-%d %H:%M:%S} UTC",
        f"what next: {_WHAT_NEXT[run.state]}",
    ]
    if run.found is not None:
        lines.append(f"plan: {run.found} found, {len(items)} listed")
    lines += [_item_line(item) for item in items[:SHOWN_ITEMS]]
    if len(items) > SHOWN_ITEMS:
        lines.append(f"  … and {len(items) - SHOWN_ITEMS} more: GET /api/v1/runs/{run.id}")
    lines += [f"{name}: {_short(value)}" for name, value in run.evidence.items() if value]
    lines.append(f"runbook: {_runbook(episode, runbook_url)}")
    return lines


def _item_line(item: RunItem) -> str:
    return f"  {item.state}: {_short(item.item.identity)} {_short(item.item.evidence)} {item.detail}".rstrip()


def _short(value: Any) -> str:
    """`value` in one line of JSON; what people read is not the place for a thousand rows."""
    text = json.dumps(dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False, default=str)
    return text if len(text) <= 1_000 else f"{text[:1_000]}…"


def _runbook(episode: Episode, fallback: str) -> str:
    for entry in episode.alerts.values():
        if entry["annotations"].get("runbook_url"):
            return str(entry["annotations"]["runbook_url"])
    return fallback or "none is known"
