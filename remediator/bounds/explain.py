"""What each bound has judged, in words with its numbers, also where it lets a run pass."""

from collections.abc import Callable
from math import floor

from remediator.bounds.bounds import BoundFacts
from remediator.model.windows import format_window
from runbookd.inventory import format_duration


def _stale(facts: BoundFacts) -> str:
    stack_limit = facts.stack_limits.max_alert_age
    limit = facts.limits.max_alert_age if stack_limit is None else stack_limit
    age = max(facts.now - facts.confirmed_at, limit * 0)
    return f"the alert was last confirmed {format_duration(age)} ago, max_alert_age is {format_duration(limit)}"


def _storm(facts: BoundFacts) -> str:
    limit = facts.limits.storm
    within = format_duration(limit.within)
    return (
        f"{facts.new_alerts} of {limit.alerts} alerts on {facts.new_targets} of {limit.targets} targets within {within}"
    )


def _max_items(facts: BoundFacts) -> str:
    if facts.max_items is None:
        batch = f", of which it takes {facts.settings.batch} at once" if facts.settings.batch else ""
        return f"found {facts.found}{batch}, max_items is not set"
    return f"found {facts.found}, max_items is {facts.max_items}"


def _max_share(facts: BoundFacts) -> str:
    share, population = facts.settings.max_share, facts.population
    if share is None or population is None:
        return "max_share is not set"
    return f"found {facts.found} of {population}, max_share allows {floor(population * share)}"


def _blocked_by_alert(facts: BoundFacts) -> str:
    names = ", ".join(facts.settings.block_on)
    return f"none of them fires: {names}" if names else "block_on is not set"


def _min_firing(facts: BoundFacts) -> str:
    firing_for, minimum = facts.now - facts.firing_since, facts.settings.min_firing
    return f"has fired for {format_duration(max(firing_for, minimum * 0))}, min_firing is {format_duration(minimum)}"


def _cooldown(facts: BoundFacts) -> str:
    if facts.last_admitted_end is None:
        return f"no run before, cooldown is {format_duration(facts.settings.cooldown)}"
    ago = format_duration(facts.now - facts.last_admitted_end)
    return f"the last run ended {ago} ago, cooldown is {format_duration(facts.settings.cooldown)}"


def _rate(facts: BoundFacts) -> str:
    return (
        f"in the last hour {len(facts.remediation_admissions)} of {facts.settings.max_runs_per_hour} of this "
        f"remediation, {len(facts.stack_admissions)} of {facts.stack_limits.max_runs_per_hour} of the stack, "
        f"{len(facts.all_admissions)} of {facts.limits.max_runs_per_hour} of all stacks"
    )


def _concurrency(facts: BoundFacts) -> str:
    stack_limit = facts.stack_limits.concurrency
    stack_part = f", {facts.active_stack} of {stack_limit} of the stack" if stack_limit is not None else ""
    return f"{facts.active} of {facts.limits.concurrency} runs are under way{stack_part}"


def _window(facts: BoundFacts) -> str:
    if facts.window is None:
        return "only_in is not set"
    return f"inside the window {facts.settings.only_in} ({format_window(facts.window)})"


EXPLANATIONS: dict[str, Callable[[BoundFacts], str]] = {
    "kill_switch": lambda _: "not paused",
    "mode_off": lambda facts: f"the mode is {facts.settings.mode}",
    "freeze": lambda _: "no freeze is in force",
    "breaker": lambda _: "the breaker is closed",
    "storm": _storm,
    "stale": _stale,
    "max_items": _max_items,
    "max_share": _max_share,
    "blocked_by_alert": _blocked_by_alert,
    "min_firing": _min_firing,
    "cooldown": _cooldown,
    "rate": _rate,
    "concurrency": _concurrency,
    "window": _window,
    "alertmanager_unreadable": lambda _: "it answers, or is not asked",
}
