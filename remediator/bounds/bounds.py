"""The bounds that a run must pass. Each is one small function of the facts; nothing here reads or writes anything.

A refusal ends the run; a deferral lets it wait. All are evaluated, so that a person sees every bound that stood in the
way; a refusal wins over a deferral, and the first in the list gives the reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor

from remediator.model.windows import format_window, in_window, next_start
from runbookd.inventory import Limits, RemediationSettings, StackLimits, Window, format_duration

HOUR = timedelta(hours=1)
MAX_DEFERRAL = HOUR
CLOCK_TOLERANCE = timedelta(seconds=30)
RETRY_AFTER = timedelta(seconds=5)  # when a bound can not say itself when it will pass


@dataclass(frozen=True)
class BoundFacts:
    """All that the bounds judge, read in the transaction that admits."""

    now: datetime
    settings: RemediationSettings
    max_items: int | None
    limits: Limits
    stack_limits: StackLimits
    firing_since: datetime
    confirmed_at: datetime
    found: int
    approved_count: int  # so many items a person said yes to; 0 where nobody was asked
    population: int | None
    pause_reason: str | None
    freeze_detail: str | None
    breaker_reason: str | None
    storm_detail: str | None
    blocking_alerts: Sequence[str]
    alertmanager_error: str | None
    window: Window | None
    last_admitted_end: datetime | None
    # Reservations of the last hour, oldest first: of this stack and remediation, of the stack, of all.
    remediation_admissions: Sequence[datetime]
    stack_admissions: Sequence[datetime]
    all_admissions: Sequence[datetime]
    active: int
    active_stack: int
    target_busy: bool
    new_alerts: int = 0  # of episodes that began within the time in which a storm is looked for
    new_targets: int = 0


@dataclass(frozen=True)
class Violation:
    """A bound that stands in the way, in words for people; `until` is when it is worth trying again."""

    detail: str
    until: datetime | None = None


Bound = Callable[[BoundFacts], Violation | None]


def kill_switch(facts: BoundFacts) -> Violation | None:
    return Violation(f"paused: {facts.pause_reason}") if facts.pause_reason is not None else None


def mode_off(facts: BoundFacts) -> Violation | None:
    return Violation("the mode is off") if facts.settings.mode == "off" else None


def freeze(facts: BoundFacts) -> Violation | None:
    return Violation(f"the freeze {facts.freeze_detail} is in force") if facts.freeze_detail is not None else None


def breaker(facts: BoundFacts) -> Violation | None:
    return Violation(f"the breaker is open: {facts.breaker_reason}") if facts.breaker_reason is not None else None


def storm(facts: BoundFacts) -> Violation | None:
    return Violation(facts.storm_detail) if facts.storm_detail is not None else None


def stale(facts: BoundFacts) -> Violation | None:
    detail = describe_staleness(facts.now, facts.confirmed_at, facts.limits, facts.stack_limits)
    return Violation(detail) if detail is not None else None


def describe_staleness(now: datetime, confirmed_at: datetime, limits: Limits, stack_limits: StackLimits) -> str | None:
    """Why nobody can tell whether an alert still fires that was last confirmed then, or None."""
    age, stack_limit = now - confirmed_at, stack_limits.max_alert_age
    limit = limits.max_alert_age if stack_limit is None else stack_limit
    if age < -CLOCK_TOLERANCE:
        return f"the alert was confirmed {format_duration(-age)} in the future: the clock has been set back"
    if age <= limit:
        return None
    return f"the alert was last confirmed {format_duration(age)} ago, max_alert_age is {format_duration(limit)}"


def max_items(facts: BoundFacts) -> Violation | None:
    batch = facts.settings.batch
    if batch is not None and facts.approved_count > batch:
        return Violation(f"{facts.approved_count} items were approved, batch is {batch}")
    if facts.max_items is None or facts.found <= facts.max_items:
        return None
    return Violation(f"found {facts.found}, max_items is {facts.max_items}")


def max_share(facts: BoundFacts) -> Violation | None:
    share = facts.settings.max_share
    if share is None:
        return None
    if facts.population is None:
        return Violation("max_share is set, but the target can not say how many there are in all")
    limit = floor(facts.population * share)
    return (
        Violation(f"found {facts.found} of {facts.population}, max_share allows {limit}")
        if facts.found > limit
        else None
    )


def blocked_by_alert(facts: BoundFacts) -> Violation | None:
    return Violation(f"firing: {', '.join(facts.blocking_alerts)}") if facts.blocking_alerts else None


def min_firing(facts: BoundFacts) -> Violation | None:
    due = facts.firing_since + facts.settings.min_firing
    if facts.now >= due:
        return None
    firing_for, minimum = facts.now - facts.firing_since, facts.settings.min_firing
    return Violation(f"has fired for {format_duration(firing_for)}, min_firing is {format_duration(minimum)}", due)


def cooldown(facts: BoundFacts) -> Violation | None:
    if facts.last_admitted_end is None:
        return None
    due = facts.last_admitted_end + facts.settings.cooldown
    if facts.now >= due:
        return None
    ago = format_duration(facts.now - facts.last_admitted_end)
    return Violation(f"the last run ended {ago} ago, cooldown is {format_duration(facts.settings.cooldown)}", due)


def rate(facts: BoundFacts) -> Violation | None:
    scopes = (
        ("this remediation", facts.remediation_admissions, facts.settings.max_runs_per_hour),
        ("the stack", facts.stack_admissions, facts.stack_limits.max_runs_per_hour),
        ("all stacks", facts.all_admissions, facts.limits.max_runs_per_hour),
    )
    for name, admissions, cap in scopes:
        if len(admissions) >= cap:
            return Violation(
                f"{len(admissions)} runs of {name} in the last hour, the limit is {cap}", admissions[-cap] + HOUR
            )
    return None


def concurrency(facts: BoundFacts) -> Violation | None:
    if facts.target_busy:
        return Violation("a run of this remediation on this target is under way", facts.now + RETRY_AFTER)
    scopes = (
        ("", facts.active, facts.limits.concurrency),
        ("of the stack ", facts.active_stack, facts.stack_limits.concurrency),
    )
    for name, active, cap in scopes:
        if cap is not None and active >= cap:
            return Violation(f"{active} runs {name}are under way, concurrency is {cap}", facts.now + RETRY_AFTER)
    return None


def window(facts: BoundFacts) -> Violation | None:
    if facts.window is None or in_window(facts.window, facts.now):
        return None
    detail = f"outside the window {facts.settings.only_in} ({format_window(facts.window)})"
    return Violation(detail, next_start(facts.window, facts.now))


def alertmanager_unreadable(facts: BoundFacts) -> Violation | None:
    return (
        Violation(facts.alertmanager_error, facts.now + RETRY_AFTER) if facts.alertmanager_error is not None else None
    )


REFUSALS: dict[str, Bound] = {
    "kill_switch": kill_switch,
    "mode_off": mode_off,
    "freeze": freeze,
    "breaker": breaker,
    "storm": storm,
    "stale": stale,
    "max_items": max_items,
    "max_share": max_share,
    "blocked_by_alert": blocked_by_alert,
}
DEFERRALS: dict[str, Bound] = {
    "min_firing": min_firing,
    "cooldown": cooldown,
    "rate": rate,
    "concurrency": concurrency,
    "window": window,
    "alertmanager_unreadable": alertmanager_unreadable,
}


@dataclass(frozen=True)
class Decision:
    """What all bounds together say: every one that stands in the way, by name."""

    refusals: dict[str, Violation]
    deferrals: dict[str, Violation]

    @property
    def reason(self) -> str:
        """The first refusal, else the first deferral, else nothing."""
        return next(iter((*self.refusals, *self.deferrals)), "")

    @property
    def detail(self) -> str:
        return next((violation.detail for violation in (*self.refusals.values(), *self.deferrals.values())), "")

    def not_before(self, now: datetime) -> datetime:
        """When all that only defer may have passed."""
        return max((violation.until or now + RETRY_AFTER for violation in self.deferrals.values()), default=now)

    def as_evidence(self) -> dict[str, dict[str, str]]:
        return {
            "refused_by": {name: violation.detail for name, violation in self.refusals.items()},
            "deferred_by": {name: violation.detail for name, violation in self.deferrals.items()},
        }


def decide(facts: BoundFacts) -> Decision:
    """Ask every bound."""
    return Decision(_violations(REFUSALS, facts), _violations(DEFERRALS, facts))


def _violations(bounds: dict[str, Bound], facts: BoundFacts) -> dict[str, Violation]:
    judgements = ((name, bound(facts)) for name, bound in bounds.items())
    return {name: violation for name, violation in judgements if violation is not None}
