"""Replication: the lag of standbys, and the WAL that slots retain.

The lag of a streaming standby is 0 once it has replayed all received WAL: while the primary is idle, the age of the
last replayed transaction grows without being a lag. A standby that is not streaming does not know its lag.
"""

from exporter.postgres.parts.ages import age, epoch, never_negative
from exporter.postgres.parts.part import Part, counter, gauge

STANDBYS = SLOTS = SUBSCRIPTIONS = 50

ROLE = Part(
    "replication role",
    source="pg_is_in_recovery()",
    values=(gauge("pg_replication_is_replica", "Whether the server is a standby (1).", "pg_is_in_recovery()::int"),),
)

_WAL = "(SELECT pg_last_wal_receive_lsn() AS received, pg_last_wal_replay_lsn() AS replayed) AS wal"

REPLAYING = Part(
    "standby",
    source="pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()",
    recovery=True,
    rows=f"FROM {_WAL}",
    values=(
        gauge(
            "pg_replication_replay_lag_bytes",
            "WAL that the standby has received and not replayed, in bytes.",
            never_negative("pg_wal_lsn_diff(received, replayed)"),
        ),
        gauge(
            "pg_replication_last_replay_timestamp_seconds",
            "Commit time of the last replayed transaction, in seconds since 1970.",
            epoch("pg_last_xact_replay_timestamp()"),
        ),
        gauge("pg_replication_replay_paused", "Whether replay is paused (1).", "pg_is_wal_replay_paused()::int"),
    ),
)

# A separate part: without pg_monitor's rights the server hides the receiver's state, as if there were none.
RECEIVING = Part(
    "wal receiver",
    source="pg_stat_wal_receiver, pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()",
    sessions=True,
    recovery=True,
    rows=f"FROM {_WAL} LEFT JOIN pg_stat_wal_receiver AS receiver ON receiver.status = 'streaming'",
    values=(
        gauge(
            "pg_replication_lag_seconds",
            "Age of the last replayed transaction, in seconds; 0 while the standby is streaming and has replayed all.",
            "CASE WHEN receiver.pid IS NOT NULL AND replayed >= received THEN 0 "
            f"ELSE {age('pg_last_xact_replay_timestamp()')} END",
        ),
        gauge(
            "pg_replication_primary_lag_bytes",
            "WAL that the primary reported and the standby has not replayed, in bytes; absent unless it is streaming.",
            never_negative("pg_wal_lsn_diff(receiver.latest_end_lsn, replayed)"),
        ),
        gauge(
            "pg_replication_streaming",
            "Whether the standby receives WAL from its primary (1).",
            "(receiver.pid IS NOT NULL)::int",
        ),
    ),
)

_CURRENT = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"

# A separate part: some services, such as Amazon Aurora, refuse the functions of the WAL.
POSITION = Part(
    "wal position",
    source="pg_current_wal_lsn(); pg_last_wal_replay_lsn() on a standby",
    values=(
        gauge(
            "pg_wal_position_bytes",
            "Position in the WAL, in bytes: of writing, or of replay on a standby.",
            f"pg_wal_lsn_diff({_CURRENT}, '0/0')",
        ),
    ),
)


def _behind(lsn: str) -> str:
    """Return the SQL of the distance in bytes; the largest among standbys with the same name."""
    return never_negative(f"max(pg_wal_lsn_diff(c.lsn, {lsn}))")


def _delay(kind: str) -> str:
    """Return the SQL of a delay in seconds; without one, the receiver has caught up if it reports its position at all.

    Backups and archivers receive WAL, too, and never replay it.
    """
    return f"CASE WHEN bool_or(r.{kind}_lsn IS NOT NULL) THEN coalesce(max(extract(epoch FROM r.{kind}_lag)), 0) END"


def _without_numbers(name: str) -> str:
    """Return the SQL of a name; the first copies of all tables of a subscription share one."""
    return f"regexp_replace({name}, '^pg_[0-9]+_sync_[0-9_]+$', 'pg_sync')"


# The name of a temporary slot ends in the number of its process, as in pg_basebackup_4711. Among slots that share a
# name, that with the oldest WAL stands for all.
_SLOT_NAME = _without_numbers("CASE WHEN temporary THEN regexp_replace(slot_name, '_[0-9]+$', '') ELSE slot_name END")

SENDING = Part(
    "replication",
    source="pg_stat_replication",
    sessions=True,
    labels={"application_name": "r.name"},
    rows=f"""
FROM (SELECT *, {_without_numbers("application_name")} AS name FROM pg_stat_replication) AS r
CROSS JOIN (SELECT {_CURRENT} AS lsn) AS c
GROUP BY r.name
ORDER BY r.name
LIMIT {STANDBYS}""",
    most=STANDBYS,
    values=(
        gauge("pg_replication_standbys", "Connected WAL receivers with this name.", "count(*)"),
        gauge(
            "pg_replication_streaming_standbys",
            "Connected WAL receivers with this name that are streaming.",
            "count(*) FILTER (WHERE r.state = 'streaming')",
        ),
        gauge("pg_replication_sent_lag_bytes", "WAL not yet sent to the receiver, in bytes.", _behind("r.sent_lsn")),
        gauge(
            "pg_replication_write_lag_bytes", "WAL not yet written by the receiver, in bytes.", _behind("r.write_lsn")
        ),
        gauge(
            "pg_replication_flush_lag_bytes", "WAL not yet flushed by the receiver, in bytes.", _behind("r.flush_lsn")
        ),
        gauge(
            "pg_replication_apply_lag_bytes", "WAL not yet replayed by the receiver, in bytes.", _behind("r.replay_lsn")
        ),
        gauge(
            "pg_replication_write_lag_seconds",
            "Delay until the receiver wrote recent WAL, in seconds; 0 when it has caught up.",
            _delay("write"),
        ),
        gauge(
            "pg_replication_flush_lag_seconds",
            "Delay until the receiver flushed recent WAL, in seconds; 0 when it has caught up.",
            _delay("flush"),
        ),
        gauge(
            "pg_replication_apply_lag_seconds",
            "Delay until the receiver replayed recent WAL, in seconds; 0 when it has caught up.",
            _delay("replay"),
        ),
    ),
)

REPLICATION_SLOTS = Part(
    "replication slots",
    source="pg_replication_slots",
    labels={"slot_name": "s.name", "slot_type": "s.slot_type"},
    rows=f"""
FROM (
    SELECT DISTINCT ON (name, slot_type) *
    FROM (SELECT *, {_SLOT_NAME} AS name FROM pg_replication_slots) AS named
    ORDER BY name, slot_type, restart_lsn
) AS s CROSS JOIN (SELECT {_CURRENT} AS lsn) AS c
ORDER BY s.name
LIMIT {SLOTS}""",
    most=SLOTS,
    values=(
        gauge("pg_replication_slot_active", "Whether a consumer is connected to the slot (1).", "s.active::int"),
        gauge(
            "pg_replication_slot_retained_bytes",
            "WAL kept for the slot, in bytes; absent if it keeps none.",
            never_negative("pg_wal_lsn_diff(c.lsn, s.restart_lsn)"),
        ),
        gauge(
            "pg_replication_slot_safe_wal_size_bytes",
            "WAL that can be written before the slot loses WAL that it needs, in bytes; absent if "
            "max_slot_wal_keep_size sets no limit, or the slot keeps no WAL.",
            "CASE WHEN s.restart_lsn IS NOT NULL THEN s.safe_wal_size END",
        ),
        gauge(
            "pg_replication_slot_xmin_age_transactions",
            "Age in transactions of the oldest row version that the slot keeps from vacuum; absent if it keeps none.",
            "greatest(age(s.xmin), age(s.catalog_xmin))",
        ),
        gauge(
            "pg_replication_slot_lost",
            "Whether WAL that the consumer needs is gone (1); the consumer must be rebuilt.",
            "coalesce(s.wal_status = 'lost', false)::int",
        ),
        gauge(
            "pg_replication_slot_conflicting",
            "Whether a conflict with recovery invalidated the logical slot (1); absent for physical slots.",
            {16: "s.conflicting::int"},
        ),
        gauge(
            "pg_replication_slot_inactive_since_timestamp_seconds",
            "When the slot became inactive, in seconds since 1970; absent while a consumer is connected.",
            {17: epoch("s.inactive_since")},
        ),
    ),
)

INVALIDATED_SLOTS = Part(
    "invalidated slots",
    source="pg_replication_slots",
    labels={"slot_name": "slot_name", "reason": "invalidation_reason"},
    rows={
        17: f"FROM pg_replication_slots WHERE invalidation_reason IS NOT NULL ORDER BY slot_name LIMIT {SLOTS}",
    },
    most=SLOTS,
    values=(
        gauge(
            "pg_replication_slot_invalidated",
            "Always 1; a slot that can no longer be used, and why: its consumer must be rebuilt.",
            "1",
        ),
    ),
)

_CONFLICTS = "insert_exists update_origin_differs update_exists update_missing delete_origin_differs delete_missing"

SUBSCRIPTION_ERRORS = Part(
    "subscriptions",
    source="pg_stat_subscription_stats",
    labels={"subname": "subname"},
    rows={15: f"FROM pg_stat_subscription_stats ORDER BY subname LIMIT {SUBSCRIPTIONS}"},
    most=SUBSCRIPTIONS,
    values=(
        counter(
            "pg_stat_subscription_apply_errors_total",
            "Errors while changes were applied; each retries and stops the subscription until it succeeds.",
            "apply_error_count",
        ),
        counter(
            "pg_stat_subscription_sync_errors_total",
            "Errors while tables were copied for the first time; from PostgreSQL 19 on, sequences too.",
            {15: "sync_error_count", 19: "sync_table_error_count + sync_seq_error_count"},
        ),
        counter(
            "pg_stat_subscription_conflicts_total",
            "Changes that conflicted with rows of this server.",
            {18: " + ".join(f"confl_{name}" for name in (*_CONFLICTS.split(), "multiple_unique_conflicts"))},
        ),
    ),
)

PARTS = (
    *(ROLE, POSITION, REPLAYING, RECEIVING, SENDING),
    *(REPLICATION_SLOTS, INVALIDATED_SLOTS, SUBSCRIPTION_ERRORS),
)
