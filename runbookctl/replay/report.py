"""The result of `replay`: the past, its sizes, and one or two replays of it; as data for both outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from remediator.model.clock import rfc3339
from runbookctl.replay.comparison import ChangedEpisode
from runbookctl.replay.summary import Summary

MAX_MOMENTS = 1_000  # of each bound in the JSON


@dataclass(frozen=True)
class Source:
    """Where the past came from, and how much of it is known. Prometheus knows firings, a ledger deliveries."""

    what: str
    since: datetime
    until: datetime
    covered: timedelta | None
    notes: Sequence[str]
    firings: int | None = None
    deliveries: int = 0


@dataclass(frozen=True)
class ReplayReport:
    """A replay under the present settings, and if --set changed some, a second one."""

    source: Source
    mode: str
    present: Summary
    changes: Sequence[str]
    changed: Summary | None
    changed_episodes: Sequence[ChangedEpisode]


def as_data(report: ReplayReport) -> dict[str, Any]:
    """Return the report as JSON has it."""
    source = report.source
    return {
        "source": {
            "what": source.what,
            "since": rfc3339(source.since),
            "until": rfc3339(source.until),
            "covered_seconds": None if source.covered is None else source.covered.total_seconds(),
            "firings": source.firings,
            "deliveries": source.deliveries,
            "notes": list(source.notes),
        },
        "mode": report.mode,
        "present": _summary_data(report.present),
        "set": list(report.changes),
        "changed": None if report.changed is None else _summary_data(report.changed),
        "changed_episodes": [{**asdict(each), "at": rfc3339(each.at)} for each in report.changed_episodes],
    }


def _summary_data(summary: Summary) -> dict[str, Any]:
    return {
        "remediations": [_remediation_data(asdict(each), each.again) for each in summary.remediations],
        "busiest_hour": _hour_data(summary.busiest_hour),
        "storms": [{"last_seen_at": rfc3339(at), "detail": detail} for at, detail in summary.storms],
        "unknown_targets": dict(summary.unknown_targets),
    }


def _remediation_data(data: dict[str, Any], again: int) -> dict[str, Any]:
    for name in ("refused", "deferred"):
        data[name] = [
            {
                "bound": each["bound"],
                "times": len(each["moments"]),
                "at": [rfc3339(moment) for moment in each["moments"][:MAX_MOMENTS]],
            }
            for each in data[name]
        ]
    return data | {"again": again, "busiest_hour": _hour_data(data["busiest_hour"])}


def _hour_data(hour: Any) -> Mapping[str, Any] | None:
    if hour is None:
        return None
    start, runs = (hour["start"], hour["runs"]) if isinstance(hour, dict) else (hour.start, hour.runs)
    return {"start": rfc3339(start), "runs": runs}
