"""Bounds of the inventory that let no run through."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from remediator.model.windows import active_freeze, next_start
from runbookctl.check.finding import CheckFinding
from runbookd.inventory import Inventory, Mode, Stack, format_duration

_HORIZON = timedelta(days=366)


def findings(inventory: Inventory) -> Iterator[CheckFinding]:
    """Report windows that never open, and alerts that are always too old."""
    now = datetime.now(UTC)
    for name, stack in inventory.stacks.items():
        yield from _closed_windows(name, stack, now)
        yield from _stale_alerts(inventory, name, stack)


def _closed_windows(name: str, stack: Stack, now: datetime) -> Iterator[CheckFinding]:
    for remediation, settings in stack.remediations.items():
        if settings.only_in is None or settings.mode is Mode.OFF:
            continue
        if not _opens(stack, settings.only_in, now):
            yield CheckFinding(
                f"stacks.{name}.remediations.{remediation}.only_in",
                f"the window {settings.only_in} never opens in the next year, because a freeze covers it each time",
                "correct windows or freezes of the stack",
            )


def _opens(stack: Stack, window: str, now: datetime) -> bool:
    moment = now
    while moment < now + _HORIZON:
        moment = next_start(stack.windows[window], moment)
        frozen = active_freeze(stack.freezes.items(), moment)
        if frozen is None:
            return True
        moment = stack.freezes[frozen].end
    return False


def _stale_alerts(inventory: Inventory, name: str, stack: Stack) -> Iterator[CheckFinding]:
    if inventory.alertmanager is None:
        return
    age, repeat = stack.limits.alert_age(inventory.limits), inventory.alertmanager.repeat_interval
    if age < repeat:
        yield CheckFinding(
            f"stacks.{name}.limits.max_alert_age",
            f"max_alert_age {format_duration(age)} is below repeat_interval {format_duration(repeat)}: an alert that"
            " still fires counts as stale before it is repeated",
            "raise max_alert_age, or lower repeat_interval here and in the remediator's route",
        )
