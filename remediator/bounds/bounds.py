"""The bounds that a run must pass. Each is one small function of the facts; nothing here reads or writes anything.

A refusal ends the run; a deferral lets it wait. All are evaluated, so that a person sees every bound that stood in the
way; a refusal wins over a deferral, and the first in the list gives the reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor

from remediator.model.windows import in_window, next_start, span_of
from runbookd.inventory import Limits, RemediationSettings, StackLimits, Window, format_duration

HOUR = timedelta(hours=1)
MAX_DEFERRAL = HOUR
CLOCK_TOLERANCE = timedelta(seconds=30)
RETRY = timedelta(seconds=5)  # when a bound can not say itself when it will pass


@dataclass(frozen=True)
class Facts:
    """All that the bounds judge, read in the transaction that admits."""

    now: datetime
    settings: RemediationSettings
    max_items: int | None
    limits: Limits
    stack_limits: StackLimits
    firing_since: datetime
    confirmed_at: datetime
    found: int
    approved: int  # so many items a person said yes to; 0 where nobody was asked
    population: int | None
    paused: str | None
    freeze: str | None
    breaker: str | None
    storm: str | None
    blocking_alerts: Sequence[str]
    alertmanager_error: str | None
    window: Window | None
    last_admitted_end: datetime | None
    admitted_here: Sequence[datetime]  # reservations of the last hour, oldest first: this stack and remediation
    admitted_stack: Sequence[datetime]
    admitted_all: Sequence[datetime]
    active: int
    active_stack: int
    target_busy: bool
    new_alerts: int = 0  # of episodes that began within the time in which a storm is looked for
    new_targets: int = 0


@dataclass(frozen=True)
class Hit:
    """A bound that stands in the way, in words for people; `until` is when it is worth trying again."""

    detail: str
    until: datetime | None = None


Bound = Callable[[Facts], Hit | None]


def kill_switch(facts: Facts) -> Hit | None:
    return Hit(f"paused: {facts.paused}") if facts.paused is not None else None


def mode_off(facts: Facts) -> Hit | None:
    return Hit("the mode is off") if facts.settings.mode == "off" else None


def freeze(facts: Facts) -> Hit | None:
    return Hit(f"the freeze {facts.freeze} is in force") if facts.freeze is not None else None


def breaker(facts: Facts) -> Hit | None:
    return Hit(f"the breaker is open: {facts.breaker}") if facts.breaker is not None else None


def storm(facts: Facts) -> Hit | None:
    return Hit(facts.storm) if facts.storm is not None else None


def stale(facts: Facts) -> Hit | None:
    detail = unconfirmed(facts.now, facts.confirmed_at, facts.limits, facts.stack_limits)
    return Hit(detail) if detail is not None else None


def unconfirmed(now: datetime, confirmed_at: datetime, limits: Limits, stack_limits: StackLimits) -> str | None:
    """Why nobody can tell whether an alert still fires that was last confirmed then, or None."""
    age, own = now - confirmed_at, stack_limits.max_alert_age
    limit = limits.max_alert_age if own is None else own
    if age < -CLOCK_TOLERANCE:
        return f"the alert was confirmed {format_duration(-age)} in the future: the clock has been set back"
    if age <= limit:
        return None
    return f"the alert was last confirmed {format_duration(age)} ago, max_alert_age is {format_duration(limit)}"


def max_items(facts: Facts) -> Hit | None:
    batch = facts.settings.batch
    if batch is not None and facts.approved > batch:
        return Hit(f"{facts.approved} items were approved, batch is {batch}")
    if facts.max_items is None or facts.found <= facts.max_items:
        return None
    return Hit(f"found {facts.found}, max_items is {facts.max_items}")


def max_share(facts: Facts) -> Hit | None:
    share = facts.settings.max_share
    if share is None:
        return None
    if facts.population is None:
        return Hit("max_share is set, but the target can not say how many there are in all")
    limit = floor(facts.population * share)
    return Hit(f"found {facts.found} of {facts.population}, max_share allows {limit}") if facts.found > limit else None


def blocked_by_alert(facts: Facts) -> Hit | None:
    return Hit(f"firing: {', '.join(facts.blocking_alerts)}") if facts.blocking_alerts else None


def min_firing(facts: Facts) -> Hit | None:
    due = facts.firing_since + facts.settings.min_firing
    if facts.now >= due:
        return None
    fires, least = facts.now - facts.firing_since, facts.settings.min_firing
    return Hit(f"has fired for {format_duration(fires)}, min_firing is {format_duration(least)}", due)


def cooldown(facts: Facts) -> Hit | None:
    if facts.last_admitted_end is None:
        return None
    due = facts.last_admitted_end + facts.settings.cooldown
    if facts.now >= due:
        return None
    ago = format_duration(facts.now - facts.last_admitted_end)
    return Hit(f"the last run ended {ago} ago, cooldown is {format_duration(facts.settings.cooldown)}", due)


def rate(facts: Facts) -> Hit | None:
    scopes = (
        ("this remediation", facts.admitted_here, facts.settings.max_runs_per_hour),
        ("the stack", facts.admitted_stack, facts.stack_limits.max_runs_per_hour),
        ("all stacks", facts.admitted_all, facts.limits.max_runs_per_hour),
    )
    for name, admitted, cap in scopes:
        if len(admitted) >= cap:
            return Hit(f"{len(admitted)} runs of {name} in the last hour, the limit is {cap}", admitted[-cap] + HOUR)
    return None


def concurrency(facts: Facts) -> Hit | None:
    if facts.target_busy:
        return Hit("a run of this remediation on this target is under way", facts.now + RETRY)
    scopes = (
        ("", facts.active, facts.limits.concurrency),
        ("of the stack ", facts.active_stack, facts.stack_limits.concurrency),
    )
    for name, active, cap in scopes:
        if cap is not None and active >= cap:
            return Hit(f"{active} runs {name}are under way, concurrency is {cap}", facts.now + RETRY)
    return None


def window(facts: Facts) -> Hit | None:
    if facts.window is None or in_window(facts.window, facts.now):
        return None
    where = f"outside the window {facts.settings.only_in} ({span_of(facts.window)})"
    return Hit(where, next_start(facts.window, facts.now))


def alertmanager_unreadable(facts: Facts) -> Hit | None:
    return Hit(facts.alertmanager_error, facts.now + RETRY) if facts.alertmanager_error is not None else None


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

    refusals: dict[str, Hit]
    deferrals: dict[str, Hit]

    @property
    def reason(self) -> str:
        """The first refusal, else the first deferral, else nothing."""
        return next(iter((*self.refusals, *self.deferrals)), "")

    @property
    def detail(self) -> str:
        return next((hit.detail for hit in (*self.refusals.values(), *self.deferrals.values())), "")

    def not_before(self, now: datetime) -> datetime:
        """When all that only defer may have passed."""
        return max((hit.until or now + RETRY for hit in self.deferrals.values()), default=now)

    def as_evidence(self) -> dict[str, dict[str, str]]:
        return {
            "refused_by": {name: hit.detail for name, hit in self.refusals.items()},
            "deferred_by": {name: hit.detail for name, hit in self.deferrals.items()},
        }


def decide(facts: Facts) -> Decision:
    """Ask every bound."""
    return Decision(_hits(REFUSALS, facts), _hits(DEFERRALS, facts))


def _hits(bounds: dict[str, Bound], facts: Facts) -> dict[str, Hit]:
    asked = ((name, bound(facts)) for name, bound in bounds.items())
    return {name: hit for name, hit in asked if hit is not None}
