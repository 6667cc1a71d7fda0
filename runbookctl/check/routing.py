"""Alertmanager's routes against the inventory: who hears of each alert, and what the remediator receives."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from remediator.remediations import REMEDIATIONS
from runbookctl.check.alerts import PossibleAlert
from runbookctl.check.finding import CheckFinding, name_some
from runbookctl.check.routes import PAGERS, REMEDIATOR_PORT, Alertmanager, Route
from runbookd.inventory import Inventory, Mode, SecretError, Stack, format_duration

Reached = Sequence[tuple[PossibleAlert, tuple[str, ...]]]
_CATCH_ALL = "add a route without matchers behind the remediator's, as deploy/alertmanager.yml does"
_LONGEST_WAIT = timedelta(minutes=1)
_WAITS = "set group_wait: 0s and group_interval: 1m"
# The remediator acts on nothing there, so the end of such an alert proves nothing.
_READS_ONLY = ("", "collect_diagnostics")
_PAGER_SCHEMES = (*PAGERS, "pover", "splunk")


def findings(inventory: Inventory, alertmanager: Alertmanager, reached: Reached) -> Iterator[CheckFinding]:
    """Report alerts that nobody hears of, or twice, and what would mislead the remediator."""
    for name, stack in inventory.stacks.items():
        of_stack = [(alert, receivers) for alert, receivers in reached if alert.stack == name]
        yield from _unheard(alertmanager, name, of_stack)
        yield from _without_remediator(alertmanager, name, stack, of_stack)
        yield from _paged_twice(inventory, alertmanager, name, of_stack)
    yield from _remediator_routes(inventory, alertmanager, reached)
    yield from _inhibited(alertmanager, reached)


def notes(alertmanager: Alertmanager, reached: Reached) -> Iterator[str]:
    """Name the critical alerts that people hear of at certain times only; that may be meant."""
    muted: dict[str, list[str]] = {}
    for alert, _ in reached:
        routes = [
            each for each in alertmanager.route.matching(alert.labels) if alertmanager.reaches_people(each.receiver)
        ]
        if alert.is_critical and routes and all(route.intervals for route in routes):
            intervals = dict.fromkeys(interval for route in routes for interval in route.intervals)
            muted.setdefault(", ".join(intervals), []).append(alert.name)
    for times, names in muted.items():
        yield (
            f"nobody hears of {name_some(names)} outside the time intervals of their routes ({times}); unless that is"
            " meant, add a route without intervals for severity critical and for priorities P0 and P1"
        )


def _unheard(alertmanager: Alertmanager, stack: str, reached: Reached) -> Iterator[CheckFinding]:
    unheard: dict[tuple[str, str], list[str]] = {}
    for alert, receivers in reached:
        if not any(map(alertmanager.reaches_people, receivers)):
            silent = [receiver for receiver in receivers if receiver not in alertmanager.remediators]
            whom = "nobody" if len(silent) == len(receivers) else "the remediator only"
            repair = f"give {', '.join(silent)} a channel, such as slack_configs" if silent else _CATCH_ALL
            unheard.setdefault((whom, repair), []).append(alert.name)
    for (whom, repair), names in unheard.items():
        count = len(set(names))
        problem = f"{count} {'alert reaches' if count == 1 else 'alerts reach'} {whom} ({stack}: {name_some(names)})"
        yield CheckFinding(str(alertmanager.file), problem, repair)


def _without_remediator(
    alertmanager: Alertmanager, stack_name: str, stack: Stack, reached: Reached
) -> Iterator[CheckFinding]:
    lost: dict[str, list[str]] = {}
    for alert, receivers in reached:
        if not _is_on(stack, alert.remediation):
            continue
        if not alertmanager.remediators & set(receivers):
            lost.setdefault(alert.remediation, []).append(alert.name)
    for remediation, names in lost.items():
        yield CheckFinding(
            str(alertmanager.file),
            f"{name_some(names)} of {stack_name} do not reach the remediator, so that {remediation} never starts",
            "add the remediator's route of deploy/alertmanager.yml as the first one; the name of its receiver contains"
            " remediator",
        )


def _is_on(stack: Stack, remediation: str) -> bool:
    settings = stack.remediations.get(remediation)
    if settings is None:
        return remediation == "collect_diagnostics"  # on without an entry
    return settings.mode is not Mode.OFF and remediation in REMEDIATIONS


def _paged_twice(
    inventory: Inventory, alertmanager: Alertmanager, stack: str, reached: Reached
) -> Iterator[CheckFinding]:
    receivers = {
        receiver
        for alert, names in reached
        if alert.remediation not in _READS_ONLY
        for receiver in names
        if alertmanager.is_pager(receiver)
    }
    contacts = _paging_contacts(inventory, stack)
    if receivers and contacts:
        yield CheckFinding(
            str(alertmanager.file),
            f"one problem pages twice: by receiver {name_some(sorted(receivers))} and by contact"
            f" {name_some(contacts)} in the ladder of {stack}",
            "let one of them page: send alerts with a remediation to another receiver, or take the contact out of the"
            " ladder",
        )


def _paging_contacts(inventory: Inventory, stack: str) -> list[str]:
    steps = inventory.stacks[stack].escalation.values()
    of_ladder = [name for step in steps for name in step.contacts]
    names = of_ladder if steps else inventory.contacts  # without a ladder, every contact is notified
    return [name for name in dict.fromkeys(names) if _scheme(inventory, name) in _PAGER_SCHEMES]


def _scheme(inventory: Inventory, contact: str) -> str:
    try:
        return inventory.contacts[contact].url_secret().read().partition("://")[0].lower()
    except SecretError:
        return ""


def _remediator_routes(inventory: Inventory, alertmanager: Alertmanager, reached: Reached) -> Iterator[CheckFinding]:
    routes = {
        route.line: route
        for alert, receivers in reached
        if alertmanager.remediators & set(receivers)
        for route in alertmanager.route.matching(alert.labels)
        if route.receiver in alertmanager.remediators
    }
    for route in routes.values():
        for problem, repair in (*_grouping(route), *_timing(inventory, route)):
            yield CheckFinding(f"{alertmanager.file}:{route.line}", f"the remediator's route {problem}", repair)
    for name in sorted(alertmanager.remediators):
        if any(hook.get("send_resolved") is False for hook in alertmanager.webhooks(name)):
            problem = f"receiver {name} has send_resolved: false, so that the remediator never learns of an end"
            yield CheckFinding(str(alertmanager.file), problem, "set send_resolved: true")
        if any(_misses_webhook(hook) for hook in alertmanager.webhooks(name)):
            problem = f"receiver {name} does not send to /webhook, so that the remediator refuses its deliveries"
            yield CheckFinding(str(alertmanager.file), problem, "write http://HOST:9851/webhook")


def _misses_webhook(hook: Mapping[str, Any]) -> bool:
    try:
        url = urlsplit(str(hook.get("url", "")))
        return url.port == REMEDIATOR_PORT and url.path != "/webhook"
    except ValueError:  # amtool names it
        return False


def _grouping(route: Route) -> Iterator[tuple[str, str]]:
    if route.group_by != ("...",):
        groups = ", ".join(route.group_by) or "nothing"
        yield f"groups alerts by {groups}, so that one alert delays or repeats others", "set group_by: ['...']"
    if route.intervals:
        names = ", ".join(route.intervals)
        yield (
            f"has time intervals ({names}): a muted alert looks like a solved problem",
            "remove them; restrict the remediator by windows, freezes and modes of the inventory",
        )


def _timing(inventory: Inventory, route: Route) -> Iterator[tuple[str, str]]:
    for key, value in (("group_wait", route.group_wait), ("group_interval", route.group_interval)):
        if value > _LONGEST_WAIT:
            what = "an alert" if key == "group_wait" else "the end of an alert"
            yield f"has {key} {format_duration(value)}, and {what} reaches the remediator so much later", _WAITS
    repeat, settings = route.repeat_interval, inventory.alertmanager
    if settings is not None and settings.repeat_interval != repeat:
        yield (
            f"has repeat_interval {format_duration(repeat)}, the inventory's alertmanager.repeat_interval is"
            f" {format_duration(settings.repeat_interval)}",
            "write the same into both",
        )
    ages = {stack.limits.alert_age(inventory.limits) for stack in inventory.stacks.values()}
    if ages and min(ages) < repeat:
        yield (
            f"has repeat_interval {format_duration(repeat)}, above max_alert_age {format_duration(min(ages))}: an alert"
            " that still fires counts as stale before it is repeated",
            "lower repeat_interval to 5m, or raise max_alert_age",
        )


def _inhibited(alertmanager: Alertmanager, reached: Reached) -> Iterator[CheckFinding]:
    acting: Mapping[str, Mapping[str, str]] = {
        alert.name: alert.labels for alert, _ in reached if alert.remediation not in _READS_ONLY
    }
    for rule in alertmanager.inhibit_rules:
        names = [name for name, labels in acting.items() if all(matcher.matches(labels) for matcher in rule.targets)]
        if names:
            yield CheckFinding(
                f"{alertmanager.file}:{rule.line}",
                f"this inhibit rule can keep {name_some(names)} from the remediator, which takes its silence for a"
                " solved problem",
                "add 'remediation = \"\"' to its target_matchers",
            )
