"""The board of the remediation: what it did, what it refused and why, how long people and repairs took."""

from grafana.dashboard import board
from grafana.panels import bars, graph, newest, override_query, query, row, stat, states, timeline, wide
from grafana.shared_panels import last_runs, waits_for_a_person
from grafana.words import GREY_STEPS, STACK, or_not_scraped

RUN = "{{stack}} {{remediation}}"
WITHIN = f"max by (stack, priority) (runbook:respond_within_seconds{STACK})"
WORKS = states({0: ("down", "red"), 1: ("up", "green")})
LEADS = states({0: ("none leads", "red"), 1: ("leads", "green")})
LOADED = states({0: ("refused", "red"), 1: ("loaded", "green")})

NOW = row(
    "Now",
    5,
    wide(
        waits_for_a_person(
            "Runs that wait for approval (of all stacks), open breakers, paused stacks and unsent messages. If there"
            " are any, open the approvals in the console, or run `runbookctl status`.",
            newest("sum(max by (job) (remediation_escalations_unsent))", "unsent", "UNSENT"),
            alerts=[
                "RemediationWaitsForApproval",
                "RemediationBreakerOpen",
                "RemediationPaused",
                "RemediationEscalationUnsent",
            ],
        ),
        7,
    ),
    wide(
        stat(
            "Engine and ledger",
            "Whether the engine works, the ledger can be written, a replica leads, and the newest inventory was"
            " accepted. If one is not, nothing is repaired: read the remediator's log.",
            [
                newest("min(remediation_engine_up)", "engine", "ENGINE"),
                newest("min(remediation_ledger_up)", "ledger", "LEDGER"),
                newest("min(max by (job) (remediation_leader))", "leader", "LEADER"),
                newest("min(runbook_remediator_config_last_reload_success)", "inventory", "INVENTORY"),
            ],
            unit="none",
            steps=GREY_STEPS,
            missing="the remediator is not scraped",
            overrides=[
                override_query("ENGINE", mappings=[WORKS]),
                override_query("LEDGER", mappings=[WORKS]),
                override_query("LEADER", mappings=[LEADS]),
                override_query("INVENTORY", mappings=[LOADED]),
            ],
            alerts=[
                "RemediatorDown",
                "RemediatorReplicaDown",
                "RemediationNoLeader",
                "RemediationTwoLeaders",
                "RemediationLedgerDown",
                "RemediationEngineStuck",
                "RemediatorReloadFailed",
            ],
        ),
        7,
    ),
    wide(
        timeline(
            "Runs under way",
            "Every run from its admission, or its wait for approval, to its end. If a bar does not end,"
            " `runbookctl run` shows at which item it stands.",
            [
                query(
                    "2 * max by (stack, remediation, target)"
                    ' (remediation_run_active{stack=~"$stack",state="awaiting_approval"})'
                    f" or max by (stack, remediation, target) (remediation_run_active{STACK})",
                    f"{RUN} {{{{target}}}}",
                )
            ],
            mappings=states({1: ("acts", "purple"), 2: ("waits for approval", "orange")}),
            missing=or_not_scraped("no run is under way"),
        ),
        10,
    ),
)

DONE = row(
    "Runs",
    8,
    bars(
        "Runs by outcome",
        "Runs of each remediation by outcome, since the ledger began. If many are ineffective or failed, set it back to"
        " `shadow` and read two of them with `runbookctl run`.",
        [
            newest(
                f"max by (stack, remediation, outcome) (remediation_runs_total{STACK}) > 0",
                f"{RUN} {{{{outcome}}}}",
            )
        ],
        unit="short",
        missing=or_not_scraped("no run yet"),
    ),
    bars(
        "Refusals by bound",
        "Runs that each bound refused. If one bound refuses often, `runbookctl why` says whether its number is too"
        " tight or the problem too large for a machine.",
        [
            newest(
                f"max by (stack, remediation, bound) (remediation_refusals_total{STACK}) > 0",
                f"{RUN} {{{{bound}}}}",
            )
        ],
        unit="short",
        missing=or_not_scraped("no refusal yet"),
    ),
    bars(
        "Deferrals by bound",
        "Times that each bound deferred a run, which resumes when the bound clears. If one defers for hours, its window"
        " is too narrow.",
        [
            newest(
                f"max by (stack, remediation, bound) (remediation_deferrals_total{STACK}) > 0",
                f"{RUN} {{{{bound}}}}",
            )
        ],
        unit="short",
        missing=or_not_scraped("no deferral yet"),
    ),
    bars(
        "Shadow against auto",
        "Runs that only planned (shadow) and runs that acted. If the shadow runs of a remediation were all right, go to"
        " `approve`, then to `auto`: docs/how-to/go-from-shadow-to-auto.md.",
        [
            newest(
                'max by (stack, remediation) (remediation_runs_total{stack=~"$stack",outcome="shadow"}) > 0',
                f"{RUN} shadow",
                "SHADOW",
            ),
            newest(
                "sum by (stack, remediation) (max by (stack, remediation, outcome)"
                f" (remediation_run_duration_seconds_count{STACK})) > 0",
                f"{RUN} acted",
                "ACTED",
            ),
        ],
        unit="short",
        missing=or_not_scraped("no run yet"),
    ),
    width=6,
)

TIMES = row(
    "How long it took",
    8,
    bars(
        "Time to repair",
        "Mean time from the admission of a run to the proof that it worked. If it is near `verify_within`, the proof"
        " comes late: lengthen it, or the run counts as ineffective.",
        [
            newest(
                "max by (stack, remediation)"
                ' (remediation_run_duration_seconds_sum{stack=~"$stack",outcome="succeeded"})'
                " / on (stack, remediation) (max by (stack, remediation)"
                ' (remediation_run_duration_seconds_count{stack=~"$stack",outcome="succeeded"}) > 0)',
                RUN,
            )
        ],
        unit="s",
        missing=or_not_scraped("no successful run yet"),
    ),
    bars(
        "Time to acknowledge",
        "Mean time from an alert's first delivery to its acknowledgement, by priority, and the time that the runbook"
        " allows. Above it, find out why the message did not reach the on-call: `runbookctl contacts`.",
        [
            newest(
                f"max by (stack, priority) (remediation_acknowledge_seconds_sum{STACK}) / on (stack, priority)"
                f" (max by (stack, priority) (remediation_acknowledge_seconds_count{STACK}) > 0)",
                "{{stack}} {{priority}}",
            ),
            newest(WITHIN, "{{stack}} {{priority}} allowed", "WITHIN"),
        ],
        unit="s",
        missing=or_not_scraped("nothing was acknowledged yet"),
    ),
    graph(
        "Waiting for an answer",
        "How long each open alert has had no operator, and the time that the runbook allows. Above it, take it:"
        " `runbookctl ack NUMBER`, or call the next step of the ladder.",
        [
            query(
                "time() - min by (stack, target, priority)"
                f" (remediation_unacknowledged_since_timestamp_seconds{STACK})",
                "{{stack}} {{target}} {{priority}}",
            ),
            query(WITHIN, "{{stack}} {{priority}} allowed", "WITHIN"),
        ],
        unit="s",
        missing=or_not_scraped("none"),
        overrides=[override_query("WITHIN", custom__lineStyle={"fill": "dash", "dash": [10, 10]})],
        alerts=["EpisodeUnacknowledged"],
    ),
    graph(
        "Open episodes",
        "Episodes that have not ended: an alert fires and is not repaired. If one stays open, the on-call has to"
        " acknowledge it: `runbookctl ack`.",
        [
            query(f"max by (stack, remediation) (remediation_open_episodes{STACK}) > 0", RUN),
            query(
                "count by (stack) (max by (stack, remediation, target, priority)"
                f" (remediation_unacknowledged_since_timestamp_seconds{STACK}))",
                "{{stack}} unacknowledged",
                "UNACKNOWLEDGED",
            ),
        ],
        unit="short",
        missing=or_not_scraped("none"),
    ),
)

RECENT = row(
    "The newest",
    9,
    wide(
        last_runs("dateTimeAsIso", {"Remediation": 200, "Outcome": 95}),
        12,
    ),
    wide(
        graph(
            "Deliveries",
            "Deliveries of Alertmanager per second, by the remediator's answer. If any is refused, compare the"
            " webhook's token on both sides: alerts are lost.",
            [query("sum by (answer) (rate(remediation_deliveries_total[$__rate_interval]))", "{{answer}}")],
            unit="cps",
            missing="the remediator is not scraped",
            alerts=["RemediationDeliveriesRefused"],
        ),
        6,
    ),
    wide(
        graph(
            "Unsent messages",
            "Messages that each contact has not received. If they stay, the contact is unreachable: call by phone, and"
            " run `runbookctl contacts test NAME`.",
            [query("max by (contact) (remediation_contact_unsent)", "{{contact}}")],
            unit="short",
            missing=or_not_scraped("no contact is configured"),
        ),
        6,
    ),
)

BOARD = board(
    "remediation",
    "remediation",
    "Runs, refusals and their reasons, the time that repairs took, and whether the remediator can work at all.",
    [*NOW, *DONE, *TIMES, *RECENT],
)
