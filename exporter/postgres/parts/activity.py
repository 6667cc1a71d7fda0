"""Sessions: their number by state, role and type, and their ages."""

from exporter.postgres.parts.ages import age, oldest
from exporter.postgres.parts.joined_statement import DATABASES
from exporter.postgres.parts.part import Part, gauge

ROLES = BACKEND_TYPES = 50
_STATES = "'active', 'idle', 'idle in transaction', 'idle in transaction (aborted)'"

CONNECTIONS = Part(
    "connections",
    source="pg_stat_activity",
    reads=("databases", "sessions"),
    sessions=True,
    labels={"datname": "datname", "state": "state"},
    # The usual states always have a series, also without a session.
    rows=f"""
FROM (
    SELECT d.datname, usual.state, 0 AS sessions
    FROM databases AS d CROSS JOIN unnest(ARRAY[{_STATES}]) AS usual (state)
    UNION ALL
    SELECT d.datname, coalesce(s.state, 'starting'), 1
    FROM sessions AS s JOIN databases AS d ON d.oid = s.datid
    WHERE s.client
) AS counted
GROUP BY datname, state""",
    most=DATABASES * 7,
    values=(gauge("pg_connections", "Client connections by database and state.", "sum(sessions)"),),
)

SESSIONS = Part(
    "sessions",
    source="pg_stat_activity",
    reads=("databases", "sessions"),
    sessions=True,
    labels={"datname": "d.datname"},
    # A session with track_activities = off hides what it does.
    rows="""
FROM databases AS d
LEFT JOIN sessions AS s ON s.datid = d.oid AND s.client AND NOT s.own
GROUP BY d.datname
HAVING bool_or(s.state = 'disabled') IS NOT TRUE""",
    most=DATABASES,
    values=(
        gauge(
            "pg_idle_in_transaction_max_age_seconds",
            "Longest time that a client has been idle in a transaction (aborted ones included), in seconds; 0 if none "
            "is.",
            oldest("s.state_change", "s.state LIKE 'idle in transaction%'"),
        ),
        gauge(
            "pg_idle_in_transaction_aborted_max_age_seconds",
            "Longest time that a client has been idle in an aborted transaction, in seconds; 0 if none is.",
            oldest("s.state_change", "s.state = 'idle in transaction (aborted)'"),
        ),
        gauge(
            "pg_query_max_age_seconds",
            "Age of the oldest query that a client is running, in seconds; 0 if there is none.",
            oldest("s.query_start", "s.state = 'active'"),
        ),
        gauge(
            "pg_transaction_max_age_seconds",
            "Age of the oldest transaction that a client has open, in seconds; 0 if there is none.",
            oldest("s.xact_start", "s.xact_start IS NOT NULL"),
        ),
    ),
)

USERS = Part(
    "users",
    source="pg_stat_activity",
    reads=("sessions",),
    sessions=True,
    labels={"usename": "pg_get_userbyid(usesysid)"},
    rows=f"""
FROM sessions
WHERE client AND usesysid IS NOT NULL
GROUP BY usesysid
ORDER BY count(*) DESC, pg_get_userbyid(usesysid)
LIMIT {ROLES}""",
    most=ROLES,
    values=(
        gauge("pg_user_connections", f"Client connections by role; only the {ROLES} roles with the most.", "count(*)"),
    ),
)

BACKENDS = Part(
    "backends",
    source="pg_stat_activity",
    reads=("sessions",),
    sessions=True,
    labels={"backend_type": "backend_type"},
    rows="FROM sessions WHERE backend_type IS NOT NULL AND own IS NOT TRUE GROUP BY backend_type",
    most=BACKEND_TYPES,
    values=(
        gauge("pg_backends", "Server processes by type, without the exporter's sessions.", "count(*)"),
        gauge(
            "pg_backend_query_max_age_seconds",
            "Age of the oldest running query by type of process, in seconds; absent if there is none.",
            f"max({age('query_start')}) FILTER (WHERE state = 'active')",
        ),
        gauge(
            "pg_backend_transaction_max_age_seconds",
            "Age of the oldest open transaction by type of process, in seconds; absent if there is none.",
            f"max({age('xact_start')})",
        ),
    ),
)

ROLE_LIMITS = Part(
    "role limits",
    source="pg_roles",
    labels={"rolname": "rolname"},
    rows=f"FROM pg_roles WHERE rolcanlogin AND rolconnlimit >= 0 ORDER BY rolname LIMIT {ROLES}",
    most=ROLES,
    values=(
        gauge(
            "pg_roles_connection_limit", "Connections that a role may have; only roles with a limit.", "rolconnlimit"
        ),
    ),
)

PARTS = (CONNECTIONS, SESSIONS, USERS, BACKENDS, ROLE_LIMITS)
