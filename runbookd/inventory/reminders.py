"""Reminders during an incident: the updates that a runbook wants every 15 or 30 minutes."""

from datetime import timedelta
from typing import Annotated, Literal

from runbookd.inventory.constraints import AfterValidator, Field, StringConstraints
from runbookd.inventory.durations import Duration
from runbookd.inventory.section import Name, Section


def _within_a_day(interval: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= interval <= timedelta(days=1):
        raise ValueError("must be between 1m and 1d")
    return interval


class Reminder(Section):
    """A message to `contacts` once per `every`, as long as an alert of one of the `priorities` fires."""

    every: Annotated[Duration, AfterValidator(_within_a_day)]
    contacts: Annotated[tuple[Name, ...], Field(min_length=1)]
    priorities: Annotated[tuple[Literal["P0", "P1", "P2", "P3"], ...], Field(min_length=1)] = ("P0",)
    text: Annotated[str, StringConstraints(max_length=1_000)] = ""
