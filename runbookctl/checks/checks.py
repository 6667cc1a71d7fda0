"""The checks: who hears of each alert, and which settings cannot do what they are meant for."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

from exporter import config_check as exporter_check
from remediator import config_check as remediator_check
from remediator.model.windows import active_freeze, next_start
from runbookctl.checks.routes import Receivers, Route
from runbookctl.checks.rules import Rules
from runbookctl.doctor.finding import Finding
from runbookd.inventory import Inventory, Mode, Secret, SecretError, Stack, format_duration

_KINDS = {"pg": "postgres", "redis": "redis", "bullmq": "queues", "backup": "backups", "probe": "http"}
_PAGER_SCHEMES = ("pagerduty", "opsgenie", "victorops", "pover")
_SEARCH = timedelta(days=400)


def inventory_findings(inventory: Inventory, now: datetime) -> Iterator[Finding]:
    """Yield the findings of both daemons' `--config.check`, and windows that never open."""
    found = chain(exporter_check.config_findings(inventory), remediator_check.config_findings(inventory))
    for problem in dict.fromkeys(str(each) for each in found):
        yield Finding(problem, "correct it in the inventory, or the file that it names")
    for name, stack in inventory.stacks.items():
        for remediation, settings in stack.remediations.items():
            if (
                settings.only_in is not None
                and settings.mode is not Mode.OFF
                and not _opens(stack, settings.only_in, now)
            ):
                yield Finding(
                    f"{name}: the window {settings.only_in} of {remediation} never opens outside a freeze",
                    f"change stacks.{name}.windows.{settings.only_in}, or shorten the freeze",
                )


def _opens(stack: Stack, window: str, now: datetime) -> bool:
    moment = now
    while moment < now + _SEARCH:
        moment = next_start(stack.windows[window], moment)
        if active_freeze(stack.freezes.items(), moment) is None:
            return True
        moment += timedelta(days=1)
    return False


def threshold_findings(inventory: Inventory, rules: Rules) -> Iterator[Finding]:
    """Yield thresholds of stacks, or of kinds of targets, that the inventory does not have."""
    for stack in sorted({each.labels.get("stack", "") for each in rules.thresholds} - set(inventory.stacks)):
        yield Finding(f"thresholds of the stack {stack!r}, which the inventory lacks", "remove its file of thresholds")
    for threshold in rules.thresholds:
        stack_name = threshold.labels.get("stack", "")
        kind = _KINDS.get(threshold.quantity.partition("_")[0])
        if stack_name in inventory.stacks and kind is not None and not getattr(inventory.stacks[stack_name], kind):
            yield Finding(
                f"{stack_name}: {threshold.record} has no target to measure",
                f"add a target to stacks.{stack_name}.{kind}, or remove the threshold",
            )
    for stack in sorted(set(inventory.stacks) - {each.labels.get("stack", "") for each in rules.thresholds}):
        yield Finding(f"{stack}: no threshold, so no alert can fire", "write its thresholds, or run runbookctl init")


def recipients(inventory: Inventory, rules: Rules, route: Route) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Return the receivers of each possible alert by stack, in the order of the routes."""
    result: dict[str, dict[str, list[str]]] = {}
    for stack in inventory.stacks:
        for labels in rules.alert_labels(stack):
            reached = [each.receiver for each in route.reached(labels)]
            name = (
                f"{labels['alertname']} ({', '.join(filter(None, (labels.get('severity'), labels.get('priority'))))})"
            )
            result.setdefault(stack, {})[name] = list(dict.fromkeys(reached))
    return result


def route_findings(inventory: Inventory, rules: Rules, route: Route, receivers: Receivers) -> Iterator[Finding]:
    """Yield alerts that reach no contact, double pages, and confirmations that come too rarely."""
    remediators = {name for name, urls in receivers.webhooks.items() if any(url.endswith("/webhook") for url in urls)}
    for stack, alerts in recipients(inventory, rules, route).items():
        for alert, names in alerts.items():
            if not set(names) - receivers.silent - remediators:
                yield Finding(
                    f"{stack}: {alert} reaches no contact, only {', '.join(names)}",
                    "put a sibling route with a contact behind the remediator's, which needs `continue: true`",
                )
    yield from _repeat_findings(inventory, rules, route, remediators)
    yield from _double_page_findings(inventory, receivers)


def _repeat_findings(inventory: Inventory, rules: Rules, route: Route, remediators: set[str]) -> Iterator[Finding]:
    for name, stack in inventory.stacks.items():
        age = stack.limits.alert_age(inventory.limits)
        for labels in (each for each in rules.alert_labels(name) if "remediation" in each):
            alert = f"{name}: {labels['alertname']}"
            intervals = [each.repeat_interval for each in route.reached(labels) if each.receiver in remediators]
            if not intervals:
                yield Finding(
                    f"{alert} has the remediation {labels['remediation']}, but does not reach the remediator",
                    "add the remediator's route of deploy/alertmanager.yml as the first one",
                )
            elif min(intervals) >= age:
                yield Finding(
                    f"{alert} is repeated to the remediator every {format_duration(min(intervals))}, but max_alert_age"
                    f" is {format_duration(age)}: most runs would be refused as stale",
                    "set repeat_interval: 5m in the remediator's route, or raise limits.max_alert_age",
                )


def _double_page_findings(inventory: Inventory, receivers: Receivers) -> Iterator[Finding]:
    pagers = sorted(name for name, contact in inventory.contacts.items() if _is_pager(contact.url_secret()))
    if pagers and receivers.pagers:
        yield Finding(
            f"pages may be sent twice: by Alertmanager ({', '.join(sorted(receivers.pagers))}) and by the escalation"
            f" ({', '.join(pagers)})",
            "let Alertmanager page, and begin the escalation with the chat; or the other way round",
        )


def _is_pager(url: Secret) -> bool:
    try:
        return url.read().partition("://")[0].lower() in _PAGER_SCHEMES
    except SecretError:  # another finding names it
        return False


def utc_now() -> datetime:
    """Return the time at which windows are judged."""
    return datetime.now(UTC)
