"""The words, colours and expressions that several boards share."""

from grafana.panels import GREY, states, steps

STACK = '{stack=~"$stack"}'
TARGET = '{stack=~"$stack",target=~"$target"}'
QUEUE = '{stack=~"$stack",target=~"$target",queue=~"$queue"}'

UP = states({-1: ("not measured", GREY), 0: ("down", "red"), 1: ("up", "green")})
UP_STEPS = steps((None, GREY), (0, "red"), (1, "green"))
SEVERITY = states(
    {
        -1: ("not measured", GREY),
        0: ("none", "green"),
        1: ("info", "blue"),
        2: ("warning", "orange"),
        3: ("critical", "red"),
    }
)
STATE = states(
    {
        -2: ("no limit", "transparent"),
        -1: ("not measured", GREY),
        0: ("within", "green"),
        1: ("over (info)", "blue"),
        2: ("over (warning)", "orange"),
        3: ("over (critical)", "red"),
    }
)
NOT_MEASURED = states({-1: ("not measured", GREY)})
GREY_STEPS = steps((None, GREY))
ANY_IS_ORANGE = steps((None, GREY), (0, "green"), (1, "orange"))
ANY_IS_RED = steps((None, GREY), (0, "green"), (1, "red"))
LIMIT_IS_RED = steps((None, GREY), (0, "green"), (0.8, "orange"), (1, "red"))


def or_not_measured(expr: str) -> str:
    """Return the expression with -1 for each chosen stack that it has no series for."""
    return f"{expr} or on (stack) -1 * group by (stack) (stack_info{STACK})"


def or_not_scraped(words: str) -> str:
    """Return the words of a panel without series of the remediator: there may be none, or no remediator."""
    return f"{words}, or not scraped"


def up(metric: str) -> str:
    """Return whether all targets of a stack answer, or -1 for a stack that has none."""
    return or_not_measured(f"min by (stack) ({metric}{STACK})")


def firing(severity: str) -> str:
    """Return 1 for each stack in which an alert of this severity fires."""
    return f'group by (stack) (ALERTS{{alertstate="firing",severity="{severity}",stack=~"$stack"}})'


# `or` adds the right side only for stacks missing on the left: the worst severity wins. A stack without alerts is 0
# because the exporter measured it, not because the query found nothing; one that nothing measures is -1.
WORST_ALERT = (
    f"3 * {firing('critical')} or 2 * {firing('warning')} or 1 * {firing('info')}"
    f" or 0 * group by (stack) (runbook_exporter_collector_success{STACK})"
    f" or -1 * group by (stack) (stack_info{STACK})"
)
ALERTS_OVER_TIME = (
    'max by (stack, alertname, target, queue) (ALERTS{alertstate="firing",stack=~"$stack"}) * 2'
    ' or max by (stack, alertname, target, queue) (ALERTS{alertstate="pending",stack=~"$stack"})'
)
ALERT_WORDS = states({1: ("pending", "yellow"), 2: ("firing", "red")})
