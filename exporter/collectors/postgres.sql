-- The parts of the one statement that a scrape sends: each gives rows of (metric, label values, value), and they are
-- joined with UNION ALL. What can wait for a lock on a table has no place here.
--
-- Without the rights of pg_monitor the server hides what other roles' sessions do. The parts that read sessions then
-- give no rows at all: a missing series is noticed, a wrong zero is not.

-- rights --
SELECT 'pg_role_can_see_all_sessions', '{}'::text[],
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')::int::float8

-- limits --
SELECT 'pg_settings_' || name, '{}'::text[], setting::float8
FROM pg_settings
WHERE name IN ('max_connections', 'superuser_reserved_connections')

-- connections: the usual states are there even while no session is in them --
SELECT 'pg_connections', ARRAY[datname, state], sum(sessions)::float8
FROM (
    SELECT datname::text, state, 0 AS sessions
    FROM pg_database
    CROSS JOIN unnest(ARRAY['active', 'idle', 'idle in transaction', 'idle in transaction (aborted)']) AS state
    WHERE datallowconn AND NOT datistemplate
    UNION ALL
    SELECT datname::text, coalesce(state, 'starting'), 1
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND datname IS NOT NULL
) AS counted
WHERE pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
GROUP BY datname, state

-- idle transactions, since the session became idle, as the remediation counts --
SELECT 'pg_idle_in_transaction_max_age_seconds', ARRAY[database.datname::text],
       coalesce(max(greatest(extract(epoch FROM clock_timestamp() - session.state_change), 0)), 0)::float8
FROM pg_database AS database
LEFT JOIN pg_stat_activity AS session
    ON session.datid = database.oid
    AND session.backend_type = 'client backend'
    AND session.state LIKE 'idle in transaction%'
WHERE database.datallowconn AND NOT database.datistemplate
    AND pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
GROUP BY database.datname

-- running queries, but for this one --
SELECT 'pg_query_max_age_seconds', ARRAY[database.datname::text],
       coalesce(max(greatest(extract(epoch FROM clock_timestamp() - session.query_start), 0)), 0)::float8
FROM pg_database AS database
LEFT JOIN pg_stat_activity AS session
    ON session.datid = database.oid
    AND session.backend_type = 'client backend'
    AND session.state = 'active'
    AND session.pid <> pg_backend_pid()
WHERE database.datallowconn AND NOT database.datistemplate
    AND pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
GROUP BY database.datname

-- blocked sessions --
SELECT 'pg_sessions_blocked', '{}'::text[], count(*)::float8
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND wait_event_type = 'Lock'
HAVING pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')

-- the longest wait: pg_locks briefly holds up every lock of the server, so it is read only if somebody waits --
SELECT 'pg_blocked_max_age_seconds', '{}'::text[],
       coalesce(max(greatest(extract(epoch FROM clock_timestamp() - waitstart), 0)), 0)::float8
FROM pg_locks
WHERE NOT granted
    AND EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Lock')
    AND pid IN (SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend')
HAVING pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')

-- counters of the databases --
SELECT counted.metric, ARRAY[database.datname::text], counted.value::float8
FROM pg_stat_database AS statistics
JOIN pg_database AS database ON database.oid = statistics.datid AND database.datallowconn AND NOT database.datistemplate
CROSS JOIN LATERAL (
    VALUES ('pg_stat_database_blks_hit_total', statistics.blks_hit),
           ('pg_stat_database_blks_read_total', statistics.blks_read),
           ('pg_stat_database_deadlocks_total', statistics.deadlocks)
) AS counted (metric, value)
