"""The bounds that a run must pass. Each is one small function of the facts; nothing here reads or writes anything.

A refusal ends the run; a deferral makes it wait. All bounds are evaluated each time, so that you see each one that
blocks the run. A refusal wins over a deferral, and the first in the list gives the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import floor

from remediator.bounds.facts import HOUR, BoundFacts, StormFacts
from remediator.model.clock import CLOCK_TOLERANCE
from remediator.model.cuts import MAX_BOUND, cut_text
from remediator.model.windows import format_window, in_window, next_start
from runbookd.inventory import Storm, format_duration

MAX_DEFERRAL = HOUR
RETRY_AFTER = timedelta(seconds=5)  # if a bound does not know when it will pass
NO_TIME = timedelta()


@dataclass(frozen=True)
class Judgement:
    """The judgement of one bound: whether it stops the run, and a sentence with its numbers.

    `until` is when a retry is worthwhile; it has a meaning only if the bound stops the run.
    """

    stops: bool
    detail: str
    until: datetime | None = None


def _stop(detail: str, until: datetime | None = None) -> Judgement:
    return Judgement(True, detail, until)


def _pass(detail: str) -> Judgement:
    return Judgement(False, detail)


Bound = Callable[[BoundFacts], Judgement]


def kill_switch(facts: BoundFacts) -> Judgement:
    """Stop while remediation is paused."""
    return _pass("not paused") if facts.pause_reason is None else _stop(f"paused: {facts.pause_reason}")


def mode_off(facts: BoundFacts) -> Judgement:
    """Stop if the mode is off."""
    return Judgement(facts.settings.mode == "off", f"the mode is {facts.settings.mode}")


def freeze(facts: BoundFacts) -> Judgement:
    """Stop while a freeze is in force."""
    if facts.freeze_detail is None:
        return _pass("no freeze is in force")
    return _stop(f"the freeze {facts.freeze_detail} is in force")


def breaker(facts: BoundFacts) -> Judgement:
    """Stop while the breaker is open."""
    if facts.breaker_reason is None:
        return _pass("the breaker is closed")
    return _stop(f"the breaker is open: {facts.breaker_reason}")


def storm(facts: BoundFacts) -> Judgement:
    """Stop during a storm of alerts, and during its cooldown."""
    return judge_storm(facts.now, facts.storm, facts.limits.storm)


def judge_storm(now: datetime, seen: StormFacts, limit: Storm) -> Judgement:
    """Judge the new alerts, and the last storm seen."""
    within = format_duration(limit.within)
    if exceeds_storm_limit(seen, limit):
        counts = f"{seen.alerts} alerts on {seen.targets} targets within {within}"
        names = ", ".join([*seen.first_targets, *(["…"] if seen.targets > len(seen.first_targets) else [])])
        limits = f"the limits are {limit.alerts} and {limit.targets}"
        return _stop(f"a storm: {counts}, {limits}; the on-call takes over: {names}")
    # A moment in the future, after the clock was set back, counts for one cooldown more, and not until it comes.
    if seen.last_at is not None and abs(now - seen.last_at) < limit.cooldown:
        end = seen.last_at + limit.cooldown
        return _stop(
            f"a storm of alerts was seen at {seen.last_at:%H:%M:%S} UTC; its cooldown ends at {end:%H:%M:%S} UTC"
        )
    return _pass(f"{seen.alerts} of {limit.alerts} alerts on {seen.targets} of {limit.targets} targets within {within}")


def exceeds_storm_limit(seen: StormFacts, limit: Storm) -> bool:
    """Return whether more alerts or targets are new than one fault explains."""
    return seen.targets > limit.targets or seen.alerts > limit.alerts


def stale(facts: BoundFacts) -> Judgement:
    """Stop if the alert was last confirmed more than `max_alert_age` ago."""
    return judge_age(facts.now, facts.alert.confirmed_at, facts.max_alert_age)


def judge_age(now: datetime, confirmed_at: datetime, max_alert_age: timedelta) -> Judgement:
    """Judge whether an alert last confirmed at `confirmed_at` may no longer be firing."""
    age = now - confirmed_at
    if age < -CLOCK_TOLERANCE:
        return _stop(f"the alert was confirmed {format_duration(-age)} in the future: the clock has been set back")
    shown = format_duration(max(age, NO_TIME))
    detail = f"the alert was last confirmed {shown} ago, max_alert_age is {format_duration(max_alert_age)}"
    return Judgement(age > max_alert_age, detail)


def max_items(facts: BoundFacts) -> Judgement:
    """Stop if the plan exceeds the limit of items, or the approval exceeds the batch."""
    plan, batch = facts.plan, facts.settings.batch
    if batch is not None and plan.approved_count > batch:
        return _stop(f"{plan.approved_count} items were approved, batch is {batch}")
    if plan.max_items is None:
        per_run = f", of which a run takes {batch}" if batch else ""
        return _pass(f"found {plan.found}{per_run}, max_items is not set")
    return Judgement(plan.found > plan.max_items, f"found {plan.found}, max_items is {plan.max_items}")


def max_share(facts: BoundFacts) -> Judgement:
    """Stop if the plan has a larger share of all items than the limit."""
    share, plan = facts.settings.max_share, facts.plan
    if share is None:
        return _pass("max_share is not set")
    if plan.population is None:
        return _stop("max_share is set, but this target does not report a total")
    limit = floor(plan.population * share)
    return Judgement(plan.found > limit, f"found {plan.found} of {plan.population}, max_share allows {limit}")


def blocked_by_alert(facts: BoundFacts) -> Judgement:
    """Stop while an alert of `block_on` fires."""
    if facts.block_on.firing:
        return _stop(f"firing: {', '.join(facts.block_on.firing)}")
    names = ", ".join(facts.settings.block_on)
    return _pass(f"not firing: {names}" if names else "block_on is not set")


def requires(facts: BoundFacts) -> Judgement:
    """Stop while a target is down that the service requires: a restart would not help."""
    return _judge_surroundings(facts.surroundings.requires, "every required target answers")


def deploy(facts: BoundFacts) -> Judgement:
    """Stop while a deploy or a migration is under way."""
    return _judge_surroundings(facts.surroundings.deploy, "no deploy or migration is under way")


def backup_running(facts: BoundFacts) -> Judgement:
    """Stop while a backup is made."""
    return _judge_surroundings(facts.surroundings.backup_running, "no backup is running")


def _judge_surroundings(reasons: Sequence[str] | None, otherwise: str) -> Judgement:
    if reasons is None:
        return _pass("does not apply to this remediation")
    return _stop("; ".join(reasons)) if reasons else _pass(otherwise)


def min_firing(facts: BoundFacts) -> Judgement:
    """Stop until the alert has fired for `min_firing`."""
    firing_for, minimum = facts.now - facts.alert.firing_since, facts.settings.min_firing
    due = facts.alert.firing_since + minimum
    shown = format_duration(max(firing_for, NO_TIME))
    return Judgement(facts.now < due, f"has fired for {shown}, min_firing is {format_duration(minimum)}", due)


def cooldown(facts: BoundFacts) -> Judgement:
    """Stop until the cooldown after the last run has passed."""
    last_end, span = facts.history.last_admitted_end, format_duration(facts.settings.cooldown)
    if last_end is None:
        return _pass(f"no run before, cooldown is {span}")
    due = last_end + facts.settings.cooldown
    ago = facts.now - last_end
    if ago < -CLOCK_TOLERANCE:
        ended = f"{format_duration(-ago)} in the future: the clock has been set back"
    else:
        ended = f"{format_duration(max(ago, NO_TIME))} ago"
    return Judgement(facts.now < due, f"the last run ended {ended}, cooldown is {span}", due)


def rate(facts: BoundFacts) -> Judgement:
    """Stop while an hourly limit of the remediation, the stack or all stacks is reached."""
    history = facts.history
    scopes = (
        ("this remediation", history.remediation_admissions, facts.settings.max_runs_per_hour),
        ("the stack", history.stack_admissions, facts.stack_limits.max_runs_per_hour),
        ("all stacks", history.all_admissions, facts.limits.max_runs_per_hour),
    )
    for name, admissions, cap in scopes:
        if len(admissions) >= cap:
            detail = f"{len(admissions)} runs of {name} in the last hour, the limit is {cap}"
            is_ahead = admissions[-1] - facts.now > CLOCK_TOLERANCE
            return _stop(detail + "; the clock has been set back" * is_ahead, admissions[-cap] + HOUR)
    counts = ", ".join(f"{len(admissions)} of {cap} of {name}" for name, admissions, cap in scopes)
    return _pass(f"runs in the last hour: {counts}")


def concurrency(facts: BoundFacts) -> Judgement:
    """Stop while the target is busy, or a limit of runs under way is reached."""
    history, stack_cap = facts.history, facts.stack_limits.concurrency
    if history.target_busy:
        return _stop("a run of this remediation on this target is under way", facts.now + RETRY_AFTER)
    scopes = (("", history.active, facts.limits.concurrency), ("of the stack ", history.active_stack, stack_cap))
    for name, active, cap in scopes:
        if cap is not None and active >= cap:
            return _stop(f"{active} runs {name}are under way, concurrency is {cap}", facts.now + RETRY_AFTER)
    in_stack = f", {history.active_stack} of {stack_cap} of the stack" if stack_cap is not None else ""
    return _pass(f"{history.active} of {facts.limits.concurrency} runs are under way{in_stack}")


def window(facts: BoundFacts) -> Judgement:
    """Stop outside the window of `only_in`."""
    if facts.window is None:
        return _pass("only_in is not set")
    name = f"the window {facts.settings.only_in} ({format_window(facts.window)})"
    if in_window(facts.window, facts.now):
        return _pass(f"inside {name}")
    return _stop(f"outside {name}", next_start(facts.window, facts.now))


def alertmanager_unreadable(facts: BoundFacts) -> Judgement:
    """Stop if `block_on` needs Alertmanager and it cannot be read."""
    if facts.block_on.error is None:
        return _pass("Alertmanager answers, or block_on is not set")
    return _stop(facts.block_on.error, facts.now + RETRY_AFTER)


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
    "requires": requires,
    "deploy": deploy,
    "backup_running": backup_running,
}
DEFERRALS: dict[str, Bound] = {
    "min_firing": min_firing,
    "cooldown": cooldown,
    "rate": rate,
    "concurrency": concurrency,
    "window": window,
    "alertmanager_unreadable": alertmanager_unreadable,
}

# These pass by themselves, often within minutes, and a run that they stopped has touched nothing.
PASSING = frozenset({"blocked_by_alert", "requires", "deploy", "backup_running", *DEFERRALS})


@dataclass(frozen=True)
class Decision:
    """The judgements of all bounds by name, in order of precedence."""

    judgements: Mapping[str, Judgement]

    @cached_property
    def refusals(self) -> Mapping[str, Judgement]:
        """The bounds that refuse the run."""
        return self._stopping(REFUSALS)

    @cached_property
    def deferrals(self) -> Mapping[str, Judgement]:
        """The bounds that defer the run."""
        return self._stopping(DEFERRALS)

    @property
    def reason(self) -> str:
        """The name of the first refusal, else of the first deferral, else empty."""
        return next(iter((*self.refusals, *self.deferrals)), "")

    @property
    def detail(self) -> str:
        """The sentence of the bound that gives the reason, or empty."""
        return self.judgements[self.reason].detail if self.reason else ""

    def not_before(self, now: datetime) -> datetime:
        """Return when all deferring bounds may have passed."""
        return max((each.until or now + RETRY_AFTER for each in self.deferrals.values()), default=now)

    def as_evidence(self) -> dict[str, dict[str, str]]:
        """Return the stopping bounds with their sentences, for the evidence of the run."""
        return {
            "refused_by": {name: _cut(each.detail) for name, each in self.refusals.items()},
            "deferred_by": {name: _cut(each.detail) for name, each in self.deferrals.items()},
        }

    def _stopping(self, bounds: Mapping[str, Bound]) -> Mapping[str, Judgement]:
        return {
            name: self.judgements[name] for name in bounds if name in self.judgements and self.judgements[name].stops
        }


def _cut(detail: str) -> str:
    return cut_text(detail, MAX_BOUND, "detail")


# The bounds about confirmations, which only an alert has; a storm does not stop an operator, who knows of it.
OF_ALERTS = frozenset({"storm", "stale", "min_firing"})


def exemption(name: str, facts: BoundFacts) -> str | None:
    """Return why the bound `name` does not apply to the run, or None if it does."""
    if name in OF_ALERTS and facts.trigger != "alert":
        return "does not apply: no alert has started the run"
    if name == "freeze" and facts.trigger == "operator" and facts.only_adds:
        return "does not apply: an operator starts it, and it only adds or reads"
    if name == "cooldown" and facts.is_undo:
        return "does not apply: the run undoes an earlier one"
    return None


def decide(facts: BoundFacts, *, reads_only: bool = False) -> Decision:
    """Evaluate every bound, or for a remediation that only reads its mode: it can do no harm that a bound prevents."""
    bounds = {"mode_off": mode_off} if reads_only else REFUSALS | DEFERRALS
    return Decision({name: _judge(name, bound, facts) for name, bound in bounds.items()})


def _judge(name: str, bound: Bound, facts: BoundFacts) -> Judgement:
    reason = exemption(name, facts)
    return bound(facts) if reason is None else _pass(reason)
