"""The board of the duties: drills, rotations and reviews, when they are due, windows, and what people should fix."""

from grafana.dashboard import board
from grafana.panels import (
    GREY,
    bars,
    coloured,
    column,
    graph,
    newest,
    query,
    row,
    stat,
    states,
    steps,
    table,
    timeline,
    wide,
)
from grafana.shared_panels import OVERDUE, count_per_stack
from grafana.words import ANY_IS_ORANGE, LIMIT_IS_RED, NOT_MEASURED, STACK, or_not_measured, or_not_scraped

DUTY = "{{stack}} {{duty}}"
DONE = f"max by (stack, duty) (duty_last_done_timestamp_seconds{STACK})"
EVERY = f"max by (stack, duty) (duty_interval_seconds{STACK})"
DUE = f"{DONE} + on (stack, duty) {EVERY}"
OPEN = states({0: ("closed", GREY), 1: ("open", "blue")})
FROZEN = states({0: ("no freeze", GREY), 1: ("frozen", "orange")})
DUTY_STATE = states({0: ("in time", "green"), 1: ("due", "orange"), 2: ("overdue", "red")})

NOW = row(
    "Now",
    5,
    count_per_stack(
        "Overdue",
        "Duties whose interval and grace are over. If there are any, do them, then record it: `runbookctl done STACK"
        " DUTY`.",
        OVERDUE,
        ANY_IS_ORANGE,
        alerts=["DutyOverdue"],
    ),
    stat(
        "Due within a week",
        "Duties that are due within seven days, overdue ones included. If there are any, put them in the calendar now.",
        [newest(or_not_measured(f"sum by (stack) ({DUE} - time() < bool 7 * 24 * 3600)"), "{{stack}}")],
        unit="none",
        steps=steps((None, GREY), (0, "green"), (1, "blue")),
        mappings=NOT_MEASURED,
    ),
    stat(
        "Next duty",
        "Time until the next duty is due. If it is negative, that duty is late.",
        [newest(f"min by (stack) ({DUE} - time())", "{{stack}}")],
        unit="s",
        steps=steps((None, "orange"), (0, "blue")),
        missing=or_not_scraped("no duty is configured"),
    ),
)

LIST = row(
    "Every duty",
    10,
    wide(
        table(
            "Duties",
            "When each duty was last done and is due next; one that was never done counts from when it was first seen."
            " If one is due, do it and record it with `runbookctl done STACK DUTY`.",
            [
                column(f"{DONE} * 1000", "DONE"),
                column(EVERY, "EVERY"),
                column(f"({DUE}) * 1000", "DUE"),
                column(
                    f"(({DUE}) < bool time()) + on (stack, duty) (stack_duty:duty_overdue_seconds:max{STACK} > bool 0)",
                    "STATE",
                ),
            ],
            columns={
                "stack": "Stack",
                "duty": "Duty",
                "Value #DONE": "Last done",
                "Value #EVERY": "Every",
                "Value #DUE": "Due",
                "Value #STATE": "State",
            },
            sort="State",
            units={"Last done": "dateTimeFromNow", "Every": "s", "Due": "dateTimeFromNow"},
            missing=or_not_scraped("no duty is configured"),
            overrides=[coloured("State", DUTY_STATE)],
        ),
        14,
    ),
    wide(
        bars(
            "Share of the interval",
            "Time since each duty was done, as a share of its interval. Above 100 % it is due.",
            [newest(f"(time() - {DONE}) / on (stack, duty) ({EVERY} > 0)", DUTY)],
            unit="percentunit",
            steps=LIMIT_IS_RED,
            missing=or_not_scraped("no duty is configured"),
        ),
        10,
    ),
)

CALENDAR = row(
    "Windows and freezes",
    7,
    timeline(
        "Windows",
        "When each maintenance window was open. If a remediation with `only_in` did not run, its window was closed.",
        [query(f"max by (stack, window) (stack_window_active{STACK})", "{{stack}} {{window}}")],
        mappings=OPEN,
        missing=or_not_scraped("no window is configured"),
    ),
    timeline(
        "Freezes",
        "When each freeze was in force: only backups and diagnostics run then. If one should have ended, correct its"
        " date in the inventory.",
        [query(f"max by (stack, freeze) (stack_freeze_active{STACK})", "{{stack}} {{freeze}}")],
        mappings=FROZEN,
        missing=or_not_scraped("no freeze is configured"),
    ),
    graph(
        "Overdue by",
        "How long each duty has been overdue, grace included. If it grows for weeks, either nobody owns the duty or its"
        " interval is wrong.",
        [query(f"clamp_min(stack_duty:duty_overdue_seconds:max{STACK}, 0)", DUTY)],
        unit="s",
        least_top=86_400,
        missing=or_not_scraped("no duty is configured"),
    ),
)

RECURRING = row(
    "To be fixed for good",
    6,
    wide(
        bars(
            "Problems that come back",
            "Times in seven days that a remediation found something on the same target. Above 2, or another number of"
            " the inventory, `runbookctl recurring` has the permanent fix: plan it.",
            [
                newest(
                    f"max by (stack, remediation, target) (remediation_recurrences{STACK}) > 1",
                    "{{stack}} {{remediation}} {{target}}",
                )
            ],
            unit="short",
            missing=or_not_scraped("nothing came back within seven days"),
            alerts=["RemediationRecurring"],
        ),
        24,
    ),
)

BOARD = board(
    "duties",
    "duties",
    "Drills, rotations and reviews: when people did them, when they are due, and the windows for maintenance.",
    [*NOW, *LIST, *CALENDAR, *RECURRING],
)
