"""The settings of bounds: modes, limits, windows and freezes."""

from dataclasses import field
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from runbookd.inventory.announcements import Announcement
from runbookd.inventory.constraints import AfterValidator, Alias, BeforeValidator, Field, StringConstraints
from runbookd.inventory.durations import Duration
from runbookd.inventory.section import Name, Section, Zone, must_hold


def _reject_bare_time(value: object) -> object:
    """Reject a bare 14:00, which YAML 1.1 reads as the number 840 and pydantic as 00:14."""
    if isinstance(value, int):
        raise ValueError('a time of day needs quotes, as in "14:00"')
    return value


TimeOfDay = Annotated[time, BeforeValidator(_reject_bare_time)]


class Window(Section):
    """A weekly window [from, to) in a named zone; `to` before `from` is on the next day."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]
    start: Annotated[TimeOfDay, Alias("from")]
    end: Annotated[TimeOfDay, Alias("to")]
    zone: Zone = "UTC"
    announcements: dict[Name, Announcement] = field(default_factory=dict)

    @must_hold
    def _not_empty(self) -> None:
        if not self.days or self.start == self.end:
            raise ValueError("the window is empty; set days, and a `to` that differs from `from`")


class Freeze(Section):
    """A period [from, to) without remediation; `zone` applies to times without an offset."""

    start: Annotated[datetime, Alias("from")]
    end: Annotated[datetime, Alias("to")]
    reason: str = ""
    zone: Zone | None = None

    @must_hold
    def _in_its_zone(self) -> None:
        for key in ("start", "end"):
            moment = getattr(self, key)
            if moment.tzinfo is None and self.zone is not None:
                object.__setattr__(self, key, moment.replace(tzinfo=ZoneInfo(self.zone)))

    @must_hold
    def _in_order(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("`from` and `to` have no zone; write them like 2026-12-24T00:00:00Z, or set `zone`")
        if self.end <= self.start:
            raise ValueError("`to` must be after `from`")


class Mode(StrEnum):
    """The mode of a remediation in a stack."""

    OFF = "off"
    SHADOW = "shadow"
    APPROVE = "approve"
    AUTO = "auto"


def _bare_off(mode: object) -> object:
    """Accept a bare `off`, which YAML 1.1 reads as false."""
    return Mode.OFF if mode is False else mode


class Breaker(Section):
    """Opens after `failures` failed or interrupted runs `within` a period.

    An ineffective or unknown run opens it at once.
    """

    failures: Annotated[int, Field(ge=1)] = 2
    within: Duration = timedelta(hours=1)


def _star_only_at_the_end(names: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [name for name in names if name == "*" or "*" in name[:-1]]:
        raise ValueError(f"{wrong[0]!r} is neither a name nor the beginning of one; write one * at its end: 'etl*'")
    return names


class Protect(Section):
    """Roles and application names whose sessions no remediation touches.

    An application with a star at its end stands for all names that begin so: `pgcopydb*`.
    """

    roles: tuple[str, ...] = ()
    applications: Annotated[tuple[str, ...], AfterValidator(_star_only_at_the_end)] = ()

    def names_and_prefixes(self) -> tuple[list[str], list[str]]:
        """Return the whole names, and the beginnings of names without their star."""
        names = [name for name in self.applications if not name.endswith("*")]
        return names, [name.removesuffix("*") for name in self.applications if name.endswith("*")]


Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=200)]


class RemediationSettings(Section):
    """The settings of one remediation in one stack.

    The remediator refuses to start with a key that the remediation does not use.
    """

    mode: Annotated[Mode, BeforeValidator(_bare_off)] = Mode.SHADOW
    older_than: Duration | None = None
    younger_than: Duration | None = None
    max_items: Annotated[int, Field(ge=1)] | None = None
    batch: Annotated[int, Field(ge=1)] | None = None
    max_share: Annotated[float, Field(gt=0, le=1)] | None = None
    cooldown: Duration = timedelta(minutes=5)
    max_runs_per_hour: Annotated[int, Field(ge=1)] = 3
    breaker: Breaker = Breaker()
    min_firing: Duration = timedelta(0)
    settle: Duration = timedelta(seconds=5)
    verify_within: Duration = timedelta(minutes=2)
    approve_within: Duration = timedelta(hours=4)
    only_in: Name | None = None
    block_on: tuple[str, ...] = ()
    protect: Protect = Protect()
    terminate: bool = False
    deny_reasons: Annotated[tuple[Reason, ...], Field(max_length=50)] = ()
    ends_after: Duration | None = None
    recurring_after: Annotated[int, Field(ge=2, le=1_000)] | None = None

    @must_hold
    def _old_enough(self) -> None:
        if self.older_than is not None and self.older_than < timedelta(seconds=1):
            raise ValueError("older_than must be at least 1s; a shorter one would end working sessions")
        if self.younger_than is not None and self.younger_than < timedelta(seconds=1):
            raise ValueError("younger_than must be at least 1s; a shorter one would leave out every item")
        if self.ends_after is not None and self.ends_after < timedelta(seconds=10):
            raise ValueError("ends_after must be at least 10s; a shorter one would end before it is verified")


class StackLimits(Section):
    """Limits over all remediations of one stack, besides the limits over all stacks."""

    max_runs_per_hour: Annotated[int, Field(ge=1)] = 10
    concurrency: Annotated[int, Field(ge=1)] | None = None
    max_alert_age: Duration | None = None

    def alert_age(self, limits: "Limits") -> timedelta:
        """Return the stack's own `max_alert_age`, or else that of all stacks."""
        return limits.max_alert_age if self.max_alert_age is None else self.max_alert_age


class Storm(Section):
    """More targets or alerts than this `within` a period are an outage, left to operators."""

    targets: Annotated[int, Field(ge=1)] = 5
    alerts: Annotated[int, Field(ge=1)] = 20
    within: Duration = timedelta(minutes=5)
    cooldown: Duration = timedelta(minutes=10)


class Limits(Section):
    """Limits over all stacks."""

    max_runs_per_hour: Annotated[int, Field(ge=1)] = 30
    concurrency: Annotated[int, Field(ge=1)] = 1
    max_alert_age: Duration = timedelta(minutes=10)
    storm: Storm = Storm()
