"""Writes an incident as a post-mortem in Markdown: what is known, and marked places for what people must add."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from remediator.ledger.effects import RunItem
from remediator.ledger.runs import Run
from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from remediator.reports.incident import Incident, TimelineEvent, acts_of_people, streaks, timeline
from remediator.reports.markdown import escape, table
from runbookd.inventory import format_duration

TO_FILL_IN = "_To fill in:_"
MAX_EVENTS = 300
MAX_LISTED = 20
_HELPED = frozenset({RunState.SUCCEEDED, RunState.NOTHING_TO_DO})


def incident_markdown(incident: Incident) -> str:
    """Return the report; it ends with a line break."""
    parts = (_head, _happened, _impact, _timeline, _tried, _people, _cause, _follow_ups)
    return "\n".join(line for part in parts for line in part(incident)).rstrip() + "\n"


def _head(incident: Incident) -> Iterator[str]:
    episode = incident.episode
    names = ", ".join(episode.alert_names) or f"{episode.remediation}, started by an operator"
    status = f"over: {episode.end_reason or 'ended'}" if episode.ended_at is not None else "not over yet"
    yield f"# Incident: {escape(names)} on {escape(episode.target)}"
    yield ""
    rows = [
        ("Stack", escape(episode.stack)),
        ("Status", escape(status)),
        ("Started", _moment(episode.firing_since)),
        ("Ended", _moment(episode.ended_at) if episode.ended_at is not None else "-"),
        ("Duration", _duration(incident.duration)),
        ("First message", _first_message(incident)),
        ("Acknowledged", _acknowledged(incident)),
        ("Runbook", escape(_runbook(incident)) or "-"),
        ("Episode", f"{episode.id}; written {_moment(incident.written_at)}, audit head `{incident.head}`"),
    ]
    yield from table(("", ""), rows)
    yield ""


def _happened(incident: Incident) -> Iterator[str]:
    yield "## Alerts"
    yield ""
    for entry in list(incident.episode.alerts.values())[:MAX_LISTED]:
        labels, annotations = entry["labels"], entry["annotations"]
        name, severity = str(labels.get("alertname", "?")), labels.get("priority") or labels.get("severity", "")
        text = str(annotations.get("summary") or annotations.get("description") or "")
        yield f"- **{escape(name)}** {escape(f'({severity})') if severity else ''} {escape(text)}".rstrip()
    if not incident.episode.alerts:
        yield "No alert fired: an operator started it."
    yield ""


def _impact(incident: Incident) -> Iterator[str]:
    yield "## Impact"
    yield ""
    yield f"{TO_FILL_IN} which users, which functions, for how long; was data lost or shown to others?"
    if incident.also:
        yield ""
        yield "Open in the same stack at the same time:"
        yield ""
        for other in incident.also[:MAX_LISTED]:
            names = ", ".join(other.alert_names) or other.remediation
            since = _moment(other.firing_since)
            yield f"- {escape(names)} on {escape(other.target)}, since {since} (episode {other.id})"
    yield ""


def _timeline(incident: Incident) -> Iterator[str]:
    events = timeline(incident)
    yield "## Timeline (UTC)"
    yield ""
    yield from _event_table(events)
    if len(events) > MAX_EVENTS:
        yield ""
        yield f"{len(events) - MAX_EVENTS} events in the middle are left out; `runbookctl runs` has them."
    yield ""


def _tried(incident: Incident) -> Iterator[str]:
    yield "## Runs"
    yield ""
    if not incident.runs:
        yield "Nothing."
    for first, *others in streaks(incident):
        yield from _run_lines(incident, first, others)
    yield ""


def _run_lines(incident: Incident, run: Run, others: Sequence[Run]) -> Iterator[str]:
    """Yield the lines of a run; `others` are those right after it that ended alike."""
    reason = f" ({run.reason})" if run.reason else ""
    again = f", and {len(others)} more until run {others[-1].id}" if others else ""
    yield f"- Run {run.id}, {escape(run.remediation)}: **{escape(f'{run.state}{reason}'.replace('_', ' '))}**{again}"
    items = incident.items[run.id]
    if run.found is not None:
        yield f"  - {run.found} found, {len(items)} listed: {_outcomes(items)}"
    for detail in sorted({item.detail for item in items if item.detail and item.state is not ItemState.APPLIED})[:5]:
        yield f"  - {escape(detail)}"
    for verb, key in (("refused by", "refused_by"), ("deferred by", "deferred_by")):
        for bound, why in run.evidence.get("bounds", {}).get(key, {}).items():
            yield f"  - {verb} {escape(bound)}: {escape(str(why))}"
    if run.evidence.get("error"):
        yield f"  - error: {escape(str(run.evidence['error']))}"


def _outcomes(items: Sequence[RunItem]) -> str:
    """Return how many items had which outcome; one that stayed planned was not touched."""
    outcomes = Counter(item.state for item in items)
    if set(outcomes) <= {ItemState.PLANNED}:
        return "none touched"
    return ", ".join(f"{outcomes[state]} {state.replace('_', ' ')}" for state in ItemState if outcomes[state])


def _people(incident: Incident) -> Iterator[str]:
    yield "## Acts of operators"
    yield ""
    acts = acts_of_people(incident)
    if acts:
        yield from _event_table(acts)
        yield ""
    else:
        yield "The ledger has no act of an operator."
    yield f"{TO_FILL_IN} what was done by hand, which runbookd cannot see (statements, restarts, settings)."
    yield ""


def _cause(_incident: Incident) -> Iterator[str]:
    yield from (
        "## Root cause",
        "",
        f"{TO_FILL_IN} why it happened, and why it was not noticed or prevented before.",
        "",
    )


def _follow_ups(incident: Incident) -> Iterator[str]:
    yield "## Follow-ups"
    yield ""
    yield from (f"- [ ] {line}" for line in (*_own_follow_ups(incident), *_USUAL_FOLLOW_UPS))


_USUAL_FOLLOW_UPS = (
    "Fix the cause for good: owner, date.",
    "Correct the runbook where it was wrong or silent.",
    "Update the status page, and tell those who were affected.",
    "Hold the post-mortem within 48 hours, and share what was learned.",
)


def _own_follow_ups(incident: Incident) -> Iterator[str]:
    """Yield what this incident itself asks for."""
    if incident.episode.ended_at is None:
        yield "The alert still fires: end the incident first."
    for run in incident.runs:
        if run.state in (RunState.INEFFECTIVE, RunState.FAILED, RunState.UNKNOWN):
            yield f"Find out why run {run.id} ({escape(run.remediation)}) ended {run.state}, and close its breaker."
    if refusals := sorted({run.reason for run in incident.runs if run.state is RunState.REFUSED and run.reason}):
        yield f"Decide whether it was right that {escape(', '.join(refusals))} refused a run."
    if incident.runs and not any(run.state in _HELPED for run in incident.runs):
        yield "No run helped: write down the fix by hand, so that it can become a remediation."
    if incident.deploys:
        yield "A deploy began within the day before: check whether it is the cause."


def _event_table(events: Sequence[TimelineEvent]) -> Iterator[str]:
    half = MAX_EVENTS // 2
    shown = events if len(events) <= MAX_EVENTS else [*events[:half], *events[-half:]]
    rows = ((f"{event.at:%Y-%m-%d %H:%M:%S}", escape(event.who), escape(event.what)) for event in shown)
    yield from table(("time", "who", "what"), rows)


def _first_message(incident: Incident) -> str:
    if not incident.messages:
        return "none"
    first = incident.messages[0]
    waited = _duration(max(first.sent_at - incident.episode.firing_since, timedelta(0)))
    return f"{_moment(first.sent_at)} to {escape(first.contact)}, after {waited}"


def _acknowledged(incident: Incident) -> str:
    if not incident.acknowledgements:
        return "by nobody"
    first = incident.acknowledgements[0]
    waited = _duration(max(first.at - incident.episode.firing_since, timedelta(0)))
    return f"{_moment(first.at)} by {escape(first.operator)}, after {waited}"


def _runbook(incident: Incident) -> str:
    links = (entry["annotations"].get("runbook_url") for entry in incident.episode.alerts.values())
    return str(next((link for link in links if link), incident.runbook_url))


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _duration(span: timedelta) -> str:
    return format_duration(timedelta(seconds=int(span.total_seconds())))
