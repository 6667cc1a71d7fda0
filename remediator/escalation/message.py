"""The messages to contacts: what happened, what was tried, what to do next."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.escalation.advice import what_next
from remediator.escalation.content import Content, Severity
from remediator.escalation.links import Links, console_link
from remediator.ledger import audit, effects, runs, switches
from remediator.ledger.effects import RunItem
from remediator.ledger.episodes import Episode
from remediator.ledger.outbox import Notifications
from remediator.ledger.runs import Run
from remediator.masking import mask_text
from remediator.model.logfmt import format_pairs, format_value
from remediator.model.run_state import RunState
from remediator.model.target import sanitize
from runbookd.inventory import Inventory, format_duration

URGENT = ("P0", "P1")
SHOWN_ITEMS = 10
SHOWN_RUNS = 10
MAX_LINK = 2_000
MAX_VALUE_CHARACTERS = 1_000  # characters of one item's identity, evidence or detail
SHOWN_ALERTS = 10
SHOWN_SUMMARIES = 3
_SEVERITIES = {
    RunState.FAILED: Severity.ERROR,
    RunState.INEFFECTIVE: Severity.CRITICAL,
    RunState.UNKNOWN: Severity.CRITICAL,
}
# `_reasons` reports these; the other evidence goes under its own name or its label here.
_EXPLAINED_EVIDENCE = frozenset({"bounds", "judged", "error", "stopped"})
_NO_LINK = "not configured"
_EVIDENCE_LABELS = {"plan": "seen when planning"}

_END_SENTENCES = {"resolved": "The alert has resolved.", "vanished": "The alert is no longer reported as firing."}


async def run_message(connection: AsyncConnection, context: Context, run: Run, episode: Episode) -> Content:
    """Build the message on one run that needs an operator."""
    if run.is_about_an_alert:
        content = Content(f"[{run.stack}] {_alert_names(episode)} fires", Severity.CRITICAL)
        return await _with_details(connection, context, run, episode, content)
    title = f"[{run.stack}] {run.remediation} on {run.target}: {run.state}" + (f" ({run.reason})" if run.reason else "")
    return await _with_details(connection, context, run, episode, Content(title, severity_of(run)))


async def step_message(
    connection: AsyncConnection,
    context: Context,
    episode: Episode,
    last_run: Run,
    notifications: Notifications,
    now: datetime,
) -> Content:
    """Build the message of a step: duration, contacts notified so far, runs, current state."""
    duration = format_duration(_whole_seconds(now - notifications.since))
    episode_runs = await runs.of_episode(connection, episode.id)
    facts = (
        f"unresolved {duration} after the first message; notified so far: {', '.join(sorted(notifications.contacts))}",
        f"runs so far: {len(episode_runs)}",
        *(
            f"  run {each.id} at {each.created_at:%H:%M:%S}: {each.state} {each.reason}".rstrip()
            for each in episode_runs[-SHOWN_RUNS:]
        ),
    )
    title = f"[{episode.stack}] unresolved for {duration}: {episode.remediation} on {episode.target}"
    severity = max(severity_of(last_run), Severity.ERROR, key=lambda each: each.rank)
    return await _with_details(connection, context, last_run, episode, Content(title, severity, facts))


@dataclass(frozen=True)
class Finding:
    """The state of a target after its alert, in one sentence, and whether nothing speaks against the end.

    `headline` is what speaks against it, in the words of a title.
    """

    text: str
    is_clean: bool
    headline: str = ""


async def end_message(
    connection: AsyncConnection, context: Context, episode: Episode, reason: str, finding: Finding
) -> Content:
    """Build the short message that the episode has ended, with the state of the target now."""
    episode_runs = await runs.of_episode(connection, episode.id)
    ended_at = episode.ended_at or context.clock.now()
    duration = format_duration(_whole_seconds(ended_at - episode.firing_since))
    facts = [f"{_END_SENTENCES.get(reason, reason)} It lasted {duration}.", finding.text]
    facts += [f"last run: {each.id}, {each.state} {each.reason}".rstrip() for each in episode_runs[-1:]]
    breaker_lines = await _open_breaker_lines(connection, episode)
    is_over = finding.is_clean and not breaker_lines
    but = f", but {finding.headline}" if finding.headline else ""
    return Content(
        f"[{episode.stack}] {reason}{but}: {episode.remediation} on {episode.target}",
        Severity.OK if is_over else Severity.WARNING,
        facts=tuple(facts),
        advice=tuple(breaker_lines),
        links=tuple(_links_of_end(context, episode)),
        incident=incident_of(episode),
        is_over=is_over,
    )


def link_to_run(inventory: Inventory, run: Run) -> Links:
    """Return the link to the run's page; to the page with its plan if it awaits an approval."""
    if run.state is RunState.AWAITING_APPROVAL:
        return console_link(inventory, "approve or reject", f"/approvals/{run.id}")
    return console_link(inventory, "run", f"/runs/{run.id}")


def _links_of_end(context: Context, episode: Episode) -> Iterator[tuple[str, str]]:
    yield from console_link(context.inventory, "episode", f"/episodes/{episode.id}")
    yield from (each for each in _stack_links(context, episode) if each[1] != _NO_LINK)


def _stack_links(context: Context, episode: Episode) -> Iterator[tuple[str, str]]:
    stack = context.inventory.stacks.get(episode.stack)
    yield "runbook", _annotation(episode, "runbook_url", stack.runbook_url if stack else "")
    yield "dashboard", _annotation(episode, "dashboard_url", stack.dashboard_url if stack else "")


def severity_of(run: Run) -> Severity:
    """Return the severity of a run's outcome."""
    return _SEVERITIES.get(run.state, Severity.WARNING)


async def _with_details(
    connection: AsyncConnection, context: Context, run: Run, episode: Episode, content: Content
) -> Content:
    """Add the details of `run`, most important first.

    Phones show the first lines, and services cut the rest.
    """
    breaker_lines = [] if "breaker close" in what_next(run) else await _open_breaker_lines(connection, episode)
    ended = () if episode.ended_at is None else (f"since then: {_END_SENTENCES.get(episode.end_reason or '', '')}",)
    return replace(
        content,
        facts=(
            *content.facts,
            *_summaries(episode),
            _cause_line(run, episode),
            *(f"why: {reason}" for reason in _reasons(run)),
        ),
        advice=(f"what next: {what_next(run)}", *breaker_lines, *_in_hand(context, episode), *ended),
        links=(
            *link_to_run(context.inventory, run),
            *_stack_links(context, episode),
        ),
        plan=tuple(_plan_lines(run, await effects.items(connection, run.id))),
        evidence=(*_evidence_lines(run), f"audit head: {await audit.head(connection)}"),
        more=f"runbookctl run {run.id}",
        incident=incident_of(episode),
    )


def _in_hand(context: Context, episode: Episode) -> Iterator[str]:
    """Yield how to stop the ladder, if the episode climbs one."""
    stack = context.inventory.stacks.get(episode.stack)
    has_ladder = stack is not None and any(not step.is_immediate for step in stack.escalation.values())
    if episode.ended_at is None and episode.has_alerts and (has_ladder or episode.priority in URGENT):
        yield f"if you have it in hand, stop the ladder: {acknowledge_command(episode.id)}"


def acknowledge_command(identifier: int) -> str:
    """Return the command that acknowledges an episode."""
    return f"runbookctl ack {identifier}"


def _cause_line(run: Run, episode: Episode) -> str:
    match run.trigger:
        case "operator":
            undone = f" to undo run {run.undoes}" if run.undoes is not None else ""
            return f"run {run.id}, started by {run.requested_by}{undone}"
        case "end":
            return f"run {run.id}, which undoes run {run.undoes}; until it succeeds, that run's effects stay"
        case _:
            since = f"{episode.firing_since:%Y-%m-%d %H:%M:%S} UTC"
            alerts = f"{episode.priority} alerts".strip()
            return f"run {run.id}, {alerts}: {_alert_names(episode)}, firing since {since}"


def _alert_names(episode: Episode) -> str:
    names = episode.alert_names
    more = [f"and {len(names) - SHOWN_ALERTS} more"] if len(names) > SHOWN_ALERTS else []
    return ", ".join([*names[:SHOWN_ALERTS], *more])


def _summaries(episode: Episode) -> Iterator[str]:
    """Yield what the alerts say of themselves, each sentence once."""
    texts = (str(entry["annotations"].get("summary") or "") for entry in episode.alerts.values())
    yield from islice(filter(None, dict.fromkeys(map(sanitize, texts))), SHOWN_SUMMARIES)


def incident_of(episode: Episode) -> str:
    """Return what tells this episode from those of other ledgers, whose numbers may be equal."""
    return f"{episode.stack}/{episode.remediation}/{episode.target}/{episode.id}/{episode.opened_at:%Y%m%d%H%M%S}"


async def _open_breaker_lines(connection: AsyncConnection, episode: Episode) -> list[str]:
    reason = await switches.breaker_reason(connection, episode.key)
    command = shlex.join(["runbookctl", "breaker", "close", episode.remediation, episode.target])
    return [f"The breaker is open ({reason}): {command}"] if reason is not None else []


def _reasons(run: Run) -> Iterator[str]:
    """Yield each bound that blocked the run, with its numbers, or the error that stopped it."""
    bounds = run.evidence.get("bounds", {})
    for verb, evidence_key in (("refuses", "refused_by"), ("defers", "deferred_by")):
        for name, detail in bounds.get(evidence_key, {}).items():
            yield f"{name} {verb}: {_truncate(detail)}"
    for name in ("error", "stopped"):
        if run.evidence.get(name):
            yield f"{name}: {_truncate(str(run.evidence[name]))}"


def _plan_lines(run: Run, items: Sequence[RunItem]) -> Iterator[str]:
    """Yield the plan and the outcome of its items."""
    if run.found is not None:
        yield f"plan: {run.found} found, {len(items)} listed"
    yield from (_item_line(run, item) for item in items[:SHOWN_ITEMS])
    if len(items) > SHOWN_ITEMS:
        yield f"  … and {len(items) - SHOWN_ITEMS} more: runbookctl run {run.id}"


def _evidence_lines(run: Run) -> Iterator[str]:
    """Yield what was read while planning, and the verification."""
    for name, value in run.evidence.items():
        if value and name not in _EXPLAINED_EVIDENCE:
            text = format_pairs(value) if isinstance(value, Mapping) else format_value(value)
            yield f"{_EVIDENCE_LABELS.get(name, name)}: {_truncate(text)}"


def _item_line(run: Run, item: RunItem) -> str:
    fields = _truncate(format_pairs({**_masked_identity(run, item), **item.item.evidence}))
    return f"  {item.state}: {fields} {_truncate(item.detail)}".rstrip()


def _masked_identity(run: Run, item: RunItem) -> Mapping[str, Any]:
    """Mask the identity of a job for display: its name may hold personal data."""
    if not run.target.startswith(f"{run.stack}/queues/"):
        return item.item.identity
    return {name: mask_text(value) if isinstance(value, str) else value for name, value in item.item.identity.items()}


def _truncate(text: str) -> str:
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}…"


def _annotation(episode: Episode, name: str, fallback: str) -> str:
    """Return the alerts' link to a section, or else the inventory's link to the document."""
    for entry in episode.alerts.values():
        if entry["annotations"].get(name):
            return sanitize(str(entry["annotations"][name]), MAX_LINK)
    return fallback or _NO_LINK


def _whole_seconds(span: timedelta) -> timedelta:
    return timedelta(seconds=max(0, int(span.total_seconds())))
