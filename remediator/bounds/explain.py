"""What each bound has judged, in words with its numbers, also where it lets a run pass."""

from collections.abc import Callable
from math import floor

from remediator.bounds.bounds import Facts
from remediator.model.windows import span_of
from runbookd.inventory import format_duration


def _stale(facts: Facts) -> str:
    own = facts.stack_limits.max_alert_age
    limit = facts.limits.max_alert_age if own is None else own
    age = max(facts.now - facts.confirmed_at, limit * 0)
    return f"the alert was last confirmed {format_duration(age)} ago, max_alert_age is {format_duration(limit)}"


def _storm(facts: Facts) -> str:
    limit = facts.limits.storm
    within = format_duration(limit.within)
    return (
        f"{facts.new_alerts} of {limit.alerts} alerts on {facts.new_targets} of {limit.targets} targets within {within}"
    )


def _max_items(facts: Facts) -> str:
    if facts.max_items is None:
        batch = f", of which it takes {facts.settings.batch} at once" if facts.settings.batch else ""
        return f"found {facts.found}{batch}, max_items is not set"
    return f"found {facts.found}, max_items is {facts.max_items}"


def _max_share(facts: Facts) -> str:
    share, population = facts.settings.max_share, facts.population
    if share is None or population is None:
        return "max_share is not set"
    return f"found {facts.found} of {population}, max_share allows {floor(population * share)}"


def _blocked_by_alert(facts: Facts) -> str:
    names = ", ".join(facts.settings.block_on)
    return f"none of them fires: {names}" if names else "block_on is not set"


def _min_firing(facts: Facts) -> str:
    fires, least = facts.now - facts.firing_since, facts.settings.min_firing
    return f"has fired for {format_duration(max(fires, least * 0))}, min_firing is {format_duration(least)}"


def _cooldown(facts: Facts) -> str:
    if facts.last_admitted_end is None:
        return f"no run before, cooldown is {format_duration(facts.settings.cooldown)}"
    ago = format_duration(facts.now - facts.last_admitted_end)
    return f"the last run ended {ago} ago, cooldown is {format_duration(facts.settings.cooldown)}"


def _rate(facts: Facts) -> str:
    return (
        f"in the last hour {len(facts.admitted_here)} of {facts.settings.max_runs_per_hour} of this remediation, "
        f"{len(facts.admitted_stack)} of {facts.stack_limits.max_runs_per_hour} of the stack, "
        f"{len(facts.admitted_all)} of {facts.limits.max_runs_per_hour} of all stacks"
    )


def _concurrency(facts: Facts) -> str:
    own = facts.stack_limits.concurrency
    of_stack = f", {facts.active_stack} of {own} of the stack" if own is not None else ""
    return f"{facts.active} of {facts.limits.concurrency} runs are under way{of_stack}"


def _window(facts: Facts) -> str:
    if facts.window is None:
        return "only_in is not set"
    return f"inside the window {facts.settings.only_in} ({span_of(facts.window)})"


MEASURES: dict[str, Callable[[Facts], str]] = {
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
