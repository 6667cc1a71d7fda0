"""Replication: how far standbys are behind, and what slots keep from being removed.

A standby's lag is 0 when it has replayed all that it received, and it receives: on a primary that writes nothing the
age of the last replayed transaction grows, and is no lag. A standby that receives nothing does not know its lag.
"""

from exporter.postgres.parts.ages import age, epoch, never_negative
from exporter.postgres.parts.part import Part, gauge

STANDBYS = SLOTS = 50

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
            "WAL that the standby received and has not replayed, in bytes.",
            never_negative("pg_wal_lsn_diff(received, replayed)"),
        ),
        gauge(
            "pg_replication_last_replay_timestamp_seconds",
            "When the last replayed transaction was committed, in seconds since 1970.",
            epoch("pg_last_xact_replay_timestamp()"),
        ),
        gauge("pg_replication_replay_paused", "Whether somebody paused replay (1).", "pg_is_wal_replay_paused()::int"),
    ),
)

# A part of its own: without the right to it the server tells no state of the receiver, as if there were none.
RECEIVING = Part(
    "wal receiver",
    source="pg_stat_wal_receiver, pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()",
    sessions=True,
    recovery=True,
    rows=f"FROM {_WAL} LEFT JOIN pg_stat_wal_receiver AS receiver ON receiver.status = 'streaming'",
    values=(
        gauge(
            "pg_replication_lag_seconds",
            "Age of the last replayed transaction, in seconds; 0 while the standby streams and has replayed all.",
            "CASE WHEN receiver.pid IS NOT NULL AND replayed >= received THEN 0 "
            f"ELSE {age('pg_last_xact_replay_timestamp()')} END",
        ),
        gauge(
            "pg_replication_primary_lag_bytes",
            "WAL that the primary told of and the standby has not replayed, in bytes; nothing unless it streams.",
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


def _behind(lsn: str) -> str:
    """Of several standbys with one name, the one that is furthest behind."""
    return never_negative(f"max(pg_wal_lsn_diff(c.lsn, {lsn}))")


def _delay(column: str) -> str:
    """The server says NULL to a standby that has all and nothing new to take."""
    return f"coalesce(max(extract(epoch FROM {column})), 0)"


SENDING = Part(
    "replication",
    source="pg_stat_replication",
    sessions=True,
    labels={"application_name": "r.application_name"},
    rows=f"""
FROM pg_stat_replication AS r CROSS JOIN (SELECT {_CURRENT} AS lsn) AS c
GROUP BY r.application_name
ORDER BY r.application_name
LIMIT {STANDBYS}""",
    most=STANDBYS,
    values=(
        gauge("pg_replication_standbys", "Connected receivers of WAL of that name.", "count(*)"),
        gauge(
            "pg_replication_streaming_standbys",
            "Connected receivers of that name that follow live.",
            "count(*) FILTER (WHERE r.state = 'streaming')",
        ),
        gauge("pg_replication_sent_lag_bytes", "WAL not yet sent to it, in bytes.", _behind("r.sent_lsn")),
        gauge("pg_replication_write_lag_bytes", "WAL that it has not written, in bytes.", _behind("r.write_lsn")),
        gauge("pg_replication_flush_lag_bytes", "WAL that it has not made durable, in bytes.", _behind("r.flush_lsn")),
        gauge("pg_replication_apply_lag_bytes", "WAL that it has not replayed, in bytes.", _behind("r.replay_lsn")),
        gauge(
            "pg_replication_write_lag_seconds",
            "Time until it had written recent WAL, in seconds; 0 when it waits for more.",
            _delay("r.write_lag"),
        ),
        gauge(
            "pg_replication_flush_lag_seconds",
            "Time until recent WAL was durable there, in seconds; 0 when it waits for more.",
            _delay("r.flush_lag"),
        ),
        gauge(
            "pg_replication_apply_lag_seconds",
            "Time until it had replayed recent WAL, in seconds; 0 when it waits for more.",
            _delay("r.replay_lag"),
        ),
    ),
)

REPLICATION_SLOTS = Part(
    "replication slots",
    source="pg_replication_slots",
    labels={"slot_name": "s.slot_name", "slot_type": "s.slot_type"},
    rows=f"""
FROM pg_replication_slots AS s CROSS JOIN (SELECT {_CURRENT} AS lsn) AS c
ORDER BY s.slot_name
LIMIT {SLOTS}""",
    most=SLOTS,
    values=(
        gauge("pg_replication_slot_active", "Whether somebody consumes from the slot (1).", "s.active::int"),
        gauge(
            "pg_replication_slot_retained_bytes",
            "WAL that is kept for the slot, in bytes; nothing for one that keeps none.",
            never_negative("pg_wal_lsn_diff(c.lsn, s.restart_lsn)"),
        ),
        gauge(
            "pg_replication_slot_safe_wal_size_bytes",
            "WAL that can still be written before the slot loses what it needs, in bytes; nothing where "
            "max_slot_wal_keep_size sets no limit.",
            "s.safe_wal_size",
        ),
        gauge(
            "pg_replication_slot_lost",
            "Whether WAL that its consumer needs is gone (1), so that the consumer has to be made anew.",
            "coalesce(s.wal_status = 'lost', false)::int",
        ),
        gauge(
            "pg_replication_slot_conflicting",
            "Whether a conflict with recovery made a logical slot useless (1); nothing for physical ones.",
            {16: "s.conflicting::int"},
        ),
        gauge(
            "pg_replication_slot_inactive_since_timestamp_seconds",
            "Since when nobody consumes from the slot, in seconds since 1970; nothing while somebody does.",
            {17: epoch("s.inactive_since")},
        ),
    ),
)

PARTS = (ROLE, REPLAYING, RECEIVING, SENDING, REPLICATION_SLOTS)
