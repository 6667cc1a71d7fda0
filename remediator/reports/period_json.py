"""The report of a period as JSON: every number of it, moments in UTC, spans in seconds."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from remediator.model.clock import rfc3339
from remediator.reports.period import PeriodReport
from remediator.reports.period_document import first_sentence
from remediator.reports.recurring_json import problem_json


def as_json(report: PeriodReport) -> dict[str, Any]:
    """Return the report, with its first sentence."""
    content: dict[str, Any] = _plain(report)
    recurring = [problem_json(each) for each in report.recurring]
    return {"sentence": first_sentence(report), **content, "recurring": recurring}


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
