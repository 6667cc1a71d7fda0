"""The board of the backups: their age, their size, the proof that they can be restored, and how long they are kept."""

from grafana.dashboard import board, targets_of
from grafana.panels import (
    GREY,
    bars,
    column,
    graph,
    limits,
    newest,
    override_query,
    query,
    row,
    stat,
    states,
    steps,
    table,
    wide,
)
from grafana.words import LIMIT_IS_RED, TARGET, UP, UP_STEPS, or_not_measured

EACH = "{{stack}} {{target}}"
BY = "stack, target, kind"
REASON = f"max by (stack, target, reason) (backup_listing_failed{TARGET}) == 1"
ENCRYPTED = states({-1: ("not measured", GREY), 0: ("not encrypted", "orange"), 1: ("encrypted", "green")})


def _newest(metric: str) -> str:
    return f"max by ({BY}) ({metric}{TARGET})"


AGE = row(
    "Is there a recent backup?",
    8,
    wide(
        stat(
            "Listing",
            "Whether the exporter can list each folder; it says nothing about age. If it is down, the age is unknown:"
            " check the credentials and the endpoint with `runbookctl doctor`.",
            [
                newest(or_not_measured(f"min by (stack, target) (backup_up{TARGET})"), EACH),
                newest(REASON, f"{EACH} {{{{reason}}}}", "REASON"),
            ],
            unit="none",
            steps=UP_STEPS,
            mappings=UP,
            overrides=[override_query("REASON", mappings=[states({1: ("refused", "red")})])],
            alerts=["BackupListingFailed"],
        ),
        4,
    ),
    wide(
        graph(
            "Age of the newest backup",
            "Age of the newest complete backup, by the date in its name, and the limit for its kind. Above the limit,"
            " start `run_backup` and find out why the nightly job did not run.",
            [
                query(f"stack_target_kind:backup_age_seconds:min{TARGET}", f"{EACH} {{{{kind}}}}"),
                limits("backup_age_seconds"),
            ],
            unit="s",
            missing="not measured, or no backup was found",
            alerts=["BackupTooOld", "BackupDue", "BackupMissing"],
        ),
        12,
    ),
    bars(
        "Age as share of the limit",
        "Age of the newest backup as a share of its limit. Above 100 % it is too old: start `run_backup`.",
        [
            newest(
                f"max by (stack, target, kind) (stack_target_kind:backup_age_seconds:min{TARGET})"
                ' / on (stack, kind) group_left () (runbook:backup_age_seconds:critical{stack=~"$stack"} > 0)',
                f"{EACH} {{{{kind}}}}",
            )
        ],
        unit="percentunit",
        steps=LIMIT_IS_RED,
    ),
)

SIZE = row(
    "Is it whole?",
    8,
    graph(
        "Size",
        "Size of the newest backup, and the median of those before it. If it falls without a clean-up, the dump is cut"
        " short: verify it before the old ones expire.",
        [
            query(_newest("backup_last_size_bytes"), f"{EACH} newest"),
            query(_newest("backup_size_median_bytes"), f"{EACH} median", "MEDIAN"),
        ],
        unit="bytes",
    ),
    graph(
        "Size against the median",
        "Newest size by the median of the earlier ones. Below the limit, do not trust the newest backup: run"
        " `verify_backup`.",
        [
            query(f"stack_target_kind:backup_size_ratio:min{TARGET}", EACH),
            limits("backup_size_ratio"),
        ],
        unit="percentunit",
        alerts=["BackupShrunk"],
    ),
    graph(
        "Odd objects",
        "Empty, unfinished, damaged or future-dated backups, and objects that do not match the pattern. If there are"
        " any, the job or the pattern is wrong.",
        [
            query(f"max by (stack, target, kind, state) (backup_incomplete_objects{TARGET})", f"{EACH} {{{{state}}}}"),
            query(_newest("backup_unmatched_objects"), f"{EACH} unmatched", "UNMATCHED"),
        ],
        unit="short",
        alerts=["BackupBroken", "BackupDatedInFuture"],
    ),
)

PROOF = row(
    "Can it be restored?",
    8,
    graph(
        "Time since it was verified",
        "Time since a backup was last read to its end. Above the limit, run `verify_backup`.",
        [
            query(f"stack_target_kind:backup_verified_age_seconds:min{TARGET}", EACH),
            limits("backup_verified_age_seconds"),
        ],
        unit="s",
        missing="not measured, or never verified",
        alerts=["BackupUnverified", "BackupNeverVerified"],
    ),
    graph(
        "Time since it was restored",
        "Time since a backup was last restored into a scratch database. Above the limit, run the restore drill: a"
        " backup without one is a hope.",
        [
            query(f"stack_target_kind:backup_restored_age_seconds:min{TARGET}", EACH),
            limits("backup_restored_age_seconds"),
        ],
        unit="s",
        missing="not measured, or never restored",
        alerts=["BackupRestoreOverdue", "BackupNeverRestored"],
    ),
    graph(
        "Restore time",
        "Duration of the last restore, against the recovery time objective. Above it, the promise cannot be kept:"
        " restore in parallel, or shrink what is restored first.",
        [
            query(_newest("backup_last_restore_duration_seconds"), EACH),
            limits("backup_restore_duration_seconds"),
        ],
        unit="s",
        missing="not measured, or never restored",
        alerts=["BackupRestoreTooSlow"],
    ),
    bars(
        "Proofs",
        "Markers of verifications and restores that were examined, by state. If one failed or does not match its"
        " backup, treat that backup as lost.",
        [
            newest(
                f"max by (stack, target, proof, state) (backup_proofs{TARGET}) > 0",
                f"{EACH} {{{{proof}}}} {{{{state}}}}",
            )
        ],
        unit="short",
        missing="not measured, or no proofs",
        alerts=["BackupProofBroken"],
    ),
)

KEPT = row(
    "How long is it kept?",
    8,
    wide(
        graph(
            "Retention",
            "Age of the oldest backup, the longest and the shortest time that the runbook states. Below the shortest,"
            " something deletes too early; above the longest, nothing deletes: `prune_backups`.",
            [
                query(f"stack_target_kind:backup_oldest_age_seconds:max{TARGET}", EACH),
                query(f"stack_target_kind:backup_kept_seconds:max{TARGET}", f"{EACH} kept", "KEPT"),
                limits("backup_oldest_age_seconds", "backup_kept_seconds"),
            ],
            unit="s",
            alerts=["BackupRetentionShort", "BackupRetentionExceeded"],
        ),
        8,
    ),
    wide(
        stat(
            "Encryption",
            "Whether the backups are encrypted, according to their newest marker or report. If not, and the runbook"
            " wants it, encrypt in the dump command and delete the plain ones when they are replaced.",
            [newest(or_not_measured(f"min by (stack, target) (backup_encrypted{TARGET})"), EACH)],
            unit="none",
            steps=steps((None, GREY), (0, "orange"), (1, "green")),
            mappings=ENCRYPTED,
            alerts=["BackupNotEncrypted"],
        ),
        4,
    ),
    wide(
        table(
            "Backups",
            "Every folder of backups: what is there, and when it was last looked at. If the last look is old, the"
            " numbers beside it are too.",
            [
                column(f"{_newest('backup_last_success_timestamp_seconds')} * 1000", "NEWEST"),
                column(_newest("backup_last_size_bytes"), "SIZE"),
                column(_newest("backup_objects"), "COUNT"),
                column(_newest("backup_bytes"), "TOTAL"),
                column(f"{_newest('backup_last_check_timestamp_seconds')} * 1000", "CHECKED"),
            ],
            columns={
                "stack": "Stack",
                "target": "Target",
                "kind": "Kind",
                "Value #NEWEST": "Newest",
                "Value #SIZE": "Size",
                "Value #COUNT": "Backups",
                "Value #TOTAL": "Total",
                "Value #CHECKED": "Looked at",
            },
            sort="Newest",
            units={
                "Newest": "dateTimeFromNow",
                "Size": "bytes",
                "Total": "bytes",
                "Looked at": "dateTimeFromNow",
            },
            widths={"Target": 90, "Kind": 70, "Size": 90, "Backups": 80},
        ),
        12,
    ),
)

BOARD = board(
    "backups",
    "backups",
    "Whether a recent backup exists, is whole, can be restored in time, and is kept as long as promised.",
    [*AGE, *SIZE, *PROOF, *KEPT],
    [targets_of("backup_up")],
)
