"""Numbers that no alert can use: compared by none, set twice, or with labels or values that do not fit."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from runbookctl.check.finding import CheckFinding, name_some
from runbookctl.check.rules import Rule, RuleSet
from runbookd.inventory.suggest import suggest

_NAME = re.compile(r"runbook:\w+:\w+")
_PRIORITIES = ("P0", "P1", "P2", "P3")
# Ratios to something that grows as well have no upper end.
_SHARE = re.compile(r"runbook:\w+_ratio(_rise)?:\w+(?<!_rise_ratio:\w{4})")
# An alert joins on these; a duration chooses the alert.
_JOINED = ("stack", "kind", "sustained")


def findings(rules: RuleSet) -> Iterator[CheckFinding]:
    """Report each number that is silently without effect, or that makes Prometheus refuse an alert."""
    numbers = [rule for rule in rules.rules if not rule.is_alert and _NAME.fullmatch(rule.name)]
    if rules.alerts:
        yield from _read_by_none(numbers, rules)
    yield from _set_twice(numbers)
    for number in numbers:
        yield from _wrong_label(number)
        yield from _more_than_all(number)


def _read_by_none(numbers: Sequence[Rule], rules: RuleSet) -> Iterator[CheckFinding]:
    read = {name for rule in rules.rules for name in _NAME.findall(rule.expression)}
    for number in numbers:
        if number.name not in read:
            yield CheckFinding(
                number.place,
                f"no alert compares {number.name}, so that it has no effect{suggest(number.name, read)}",
                "correct its name: runbook:QUANTITY:SEVERITY, with a severity that an alert of this quantity has",
            )


def _set_twice(numbers: Sequence[Rule]) -> Iterator[CheckFinding]:
    firsts: dict[tuple[str, ...], Rule] = {}
    again: dict[tuple[str, str], list[Rule]] = defaultdict(list)
    for number in numbers:
        first = firsts.setdefault((number.name, *(number.labels.get(label, "") for label in _JOINED)), number)
        if first is not number:
            again[first.file, number.file].append(number)
    for (file, _), others in again.items():
        yield CheckFinding(
            others[0].place,
            f"{name_some([other.name for other in others])} of {others[0].labels.get('stack')} stand in {file} as well:"
            " Prometheus refuses to compare with two numbers, and their alerts fire for no stack",
            "delete one of both",
        )


def _wrong_label(number: Rule) -> Iterator[CheckFinding]:
    priority = number.labels.get("priority", "")
    if priority not in ("", *_PRIORITIES):
        problem = f"{number.name} has priority {priority}, which no route and no ladder knows"
        yield CheckFinding(number.place, problem, f"write one of {', '.join(_PRIORITIES)}")
    if number.quantity.startswith("backup_") and "kind" not in number.labels:
        problem = f"{number.name} has no label kind, so that it is compared with no backup"
        yield CheckFinding(number.place, problem, "add the kind of the backups, such as kind: full")


def _more_than_all(number: Rule) -> Iterator[CheckFinding]:
    try:
        value = float(number.expression)
    except ValueError:  # a calculation
        return
    if _SHARE.fullmatch(number.name) and value > 1:
        problem = f"{number.name} is {value:g}, and the whole is 1: no reading lies beyond it"
        yield CheckFinding(number.place, problem, "write a share of 1, such as 0.8 for 80 %")
