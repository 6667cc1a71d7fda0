"""The panels that several boards show: each with words of its own, over the same series."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from grafana.panels import Frame, Json, bars, column, newest, stat, table
from grafana.words import (
    ANY_IS_ORANGE,
    ANY_IS_RED,
    GREY_STEPS,
    LIMIT_IS_RED,
    NOT_MEASURED,
    SEVERITY,
    STACK,
    WORST_ALERT,
    or_not_measured,
    or_not_scraped,
)

OVERDUE = f"sum by (stack) (stack_duty:duty_overdue_seconds:max{STACK} > bool 0)"


def count_per_stack(title: str, description: str, expr: str, steps: Json, **frame: Unpack[Frame]) -> Json:
    """Return a panel with a number for each stack, which is not measured where the expression has none."""
    queries = [newest(or_not_measured(expr), "{{stack}}")]
    return stat(title, description, queries, unit="none", steps=steps, mappings=NOT_MEASURED, **frame)


def limits_passed(what_to_do: str) -> Json:
    """Return the panel with the number of quantities past a limit."""
    expr = f"sum by (stack) (stack_quantity_kind:state:group{STACK} > bool 0)"
    return count_per_stack("Limits passed", f"Quantities past a limit of the runbook. {what_to_do}", expr, ANY_IS_RED)


def limits_not_measured(what_to_do: str) -> Json:
    """Return the panel with the number of limits whose quantity nothing measures."""
    expr = f"sum by (stack) (stack_quantity_kind:state:group{STACK} == bool -1)"
    description = f"Limits whose quantity nothing measures, so that no alert can fire. {what_to_do}"
    return count_per_stack("Limits not measured", description, expr, ANY_IS_ORANGE)


def worst_alert(what_to_do: str) -> Json:
    """Return the panel with the highest severity that fires."""
    return stat(
        "Worst alert",
        f"The highest severity that fires, per stack. {what_to_do} `not measured` means that no collector reports.",
        [newest(WORST_ALERT, "{{stack}}")],
        unit="none",
        steps=GREY_STEPS,
        mappings=SEVERITY,
    )


def waits_for_a_person(description: str, *more: Json, alerts: Sequence[str] = ()) -> Json:
    """Return the panel with all that an operator has to answer, and `more` numbers."""
    return stat(
        "Waits for a person",
        description,
        [
            newest("sum(max by (job) (remediation_approvals_waiting))", "approvals", "APPROVALS"),
            newest(
                f"sum(max by (stack, remediation, target) (remediation_breaker_open{STACK}))"
                f" or 0 * sum(remediation_paused{STACK})",
                "breakers",
                "BREAKERS",
            ),
            newest(f"sum(max by (stack) (remediation_paused{STACK}))", "paused", "PAUSED"),
            *more,
        ],
        unit="none",
        steps=ANY_IS_ORANGE,
        missing="the remediator is not scraped",
        alerts=alerts,
    )


def backup_share() -> Json:
    """Return the panel with the age of the newest backup of each stack and kind by its limit."""
    expr = (
        f"max by (stack, kind) (stack_target_kind:backup_age_seconds:min{STACK})"
        f" / on (stack, kind) group_left () (runbook:backup_age_seconds:critical{STACK} > 0)"
    )
    return bars(
        "Backup age as share of the limit",
        "Age of the newest backup of each stack as a share of its limit. Above 100 %, start `run_backup`.",
        [newest(expr, "{{stack}} {{kind}}")],
        unit="percentunit",
        steps=LIMIT_IS_RED,
    )


def last_runs(unit: str, widths: Mapping[str, int]) -> Json:
    """Return the table of the last run of each remediation, target and outcome."""
    return table(
        "Last runs",
        "The last run of each remediation, target and outcome. If an outcome surprises you, `runbookctl run NUMBER`"
        " shows its plan, bounds and effects.",
        [
            column(
                f"max by (stack, remediation, target, outcome) (remediation_last_run_timestamp_seconds{STACK}) * 1000"
            )
        ],
        columns={
            "stack": "Stack",
            "remediation": "Remediation",
            "target": "Target",
            "outcome": "Outcome",
            "Value": "When",
        },
        sort="When",
        units={"When": unit},
        widths=widths,
        missing=or_not_scraped("no run yet"),
    )
