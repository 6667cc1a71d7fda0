"""Locks: their number by mode, the sessions that wait, and the sessions that block them."""

from exporter.postgres.parts.ages import oldest
from exporter.postgres.parts.joined_statement import DATABASES
from exporter.postgres.parts.part import Part, gauge

# Bit n stands for the n-th mode; the bits of `conflicts` are the modes that exclude it.
_MODES = """
(VALUES ('AccessShareLock', 2, 256), ('RowShareLock', 4, 384), ('RowExclusiveLock', 8, 480),
        ('ShareUpdateExclusiveLock', 16, 496), ('ShareLock', 32, 472), ('ShareRowExclusiveLock', 64, 504),
        ('ExclusiveLock', 128, 508), ('AccessExclusiveLock', 256, 510)) AS {name} (mode, bit, conflicts)"""
_OBJECT = (
    "concat_ws('/', {0}.locktype, {0}.database, {0}.relation, {0}.page, {0}.tuple, {0}.virtualxid, {0}.transactionid, "
    "{0}.classid, {0}.objid, {0}.objsubid)"
)

LOCKS = Part(
    "locks",
    source="pg_locks",
    reads=("databases", "locks"),
    labels={"datname": "d.datname", "mode": "l.mode", "granted": "l.granted::text"},
    rows="FROM locks AS l JOIN databases AS d ON d.oid = l.database GROUP BY d.datname, l.mode, l.granted",
    most=DATABASES * 10,
    values=(
        gauge(
            "pg_locks",
            "Locks on objects of a database by mode, granted (true) or awaited (false).",
            "count(*)",
        ),
    ),
)

BLOCKED_SESSIONS = Part(
    "blocked sessions",
    source="pg_stat_activity",
    reads=("sessions",),
    sessions=True,
    rows="FROM sessions WHERE client",
    values=(
        gauge(
            "pg_sessions_blocked",
            "Client sessions waiting for a lock.",
            "count(*) FILTER (WHERE wait_event_type = 'Lock')",
        ),
    ),
)

LOCK_WAITS = Part(
    "lock waits",
    source="pg_locks",
    reads=("sessions", "locks"),
    sessions=True,
    rows="FROM locks AS l JOIN sessions AS s USING (pid) WHERE NOT l.granted AND s.client",
    values=(
        gauge(
            "pg_blocked_max_age_seconds",
            "Longest current wait for a lock, in seconds; 0 if there is none. On PostgreSQL 13, the run time of the "
            "waiting query.",
            {13: oldest("s.query_start", "true"), 14: oldest("l.waitstart", "l.waitstart IS NOT NULL")},
        ),
    ),
)

# Compared only if a session waits. pg_blocking_pids() would block all locks once more per waiting session.
BLOCKING_SESSIONS = Part(
    "blocking sessions",
    source="pg_locks",
    reads=("locks",),
    sessions=True,
    rows=f"""
FROM locks AS w
JOIN {_MODES.format(name="wanted")} ON wanted.mode = w.mode
JOIN locks AS h ON {_OBJECT.format("h")} = {_OBJECT.format("w")} AND h.pid IS DISTINCT FROM w.pid
JOIN {_MODES.format(name="held")} ON held.mode = h.mode AND held.bit & wanted.conflicts <> 0
WHERE NOT w.granted AND h.granted AND EXISTS (SELECT FROM locks WHERE NOT granted)""",
    values=(
        gauge(
            "pg_sessions_blocking",
            "Sessions and prepared transactions that hold a lock that others are waiting for. Waiters that block other "
            "waiters are not counted.",
            "count(DISTINCT coalesce(h.pid::text, h.virtualtransaction))",
        ),
    ),
)

PARTS = (LOCKS, BLOCKED_SESSIONS, LOCK_WAITS, BLOCKING_SESSIONS)
