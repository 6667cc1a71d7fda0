-- sessions --
SELECT coalesce(state, 'unknown') AS state, count(*) AS sessions
FROM pg_stat_activity
WHERE backend_type = 'client backend'
GROUP BY 1
ORDER BY 2 DESC, 1

-- waits --
SELECT wait_event_type AS type, wait_event AS event, count(*) AS sessions
FROM pg_stat_activity
WHERE wait_event IS NOT NULL AND state = 'active' AND pid <> pg_backend_pid()
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
LIMIT 10

-- blocked --
-- The longest waiting first. Tables of other databases have no name here.
SELECT activity.pid, pg_blocking_pids(activity.pid) AS blocked_by,
       round(extract(epoch FROM clock_timestamp() - lock.waitstart))::bigint AS seconds,
       lock.locktype AS lock, lock.mode, class.relname AS relation,
       activity.usename AS role, activity.application_name AS application, activity.query AS statement
FROM pg_stat_activity AS activity
JOIN LATERAL (
    SELECT locktype, mode, relation, database, waitstart FROM pg_locks WHERE pid = activity.pid AND NOT granted LIMIT 1
) AS lock ON true
LEFT JOIN pg_class AS class ON class.oid = lock.relation
    AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
WHERE activity.wait_event_type = 'Lock'
ORDER BY lock.waitstart NULLS LAST, activity.pid
LIMIT 10

-- blockers --
WITH waiting AS MATERIALIZED (
    SELECT pid, unnest(pg_blocking_pids(pid)) AS blocker FROM pg_stat_activity WHERE wait_event_type = 'Lock'
)
SELECT activity.pid, count(DISTINCT waiting.pid) AS blocks, activity.state,
       round(extract(epoch FROM clock_timestamp() - activity.xact_start))::bigint AS transaction_seconds,
       activity.usename AS role, activity.application_name AS application, activity.query AS statement
FROM waiting
JOIN pg_stat_activity AS activity ON activity.pid = waiting.blocker
GROUP BY activity.pid, activity.state, activity.xact_start, activity.usename, activity.application_name, activity.query
ORDER BY blocks DESC, activity.xact_start, activity.pid
LIMIT 10

-- transactions --
SELECT pid, state, round(extract(epoch FROM clock_timestamp() - xact_start))::bigint AS transaction_seconds,
       usename AS role, application_name AS application, query AS statement
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
ORDER BY xact_start, pid
LIMIT 5

-- locks --
SELECT mode, granted, count(*) AS locks
FROM pg_locks
WHERE pid <> pg_backend_pid()
GROUP BY 1, 2
ORDER BY 2, 3 DESC, 1
LIMIT 10

-- extension --
-- The view is in the schema of its extension; the server quotes the name.
SELECT format('%I.pg_stat_statements', namespace.nspname)
FROM pg_extension AS extension
JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
WHERE extension.extname = 'pg_stat_statements'

-- statements --
-- The slowest on average since the view was last reset, without maintenance, bulk and rare statements.
SELECT queryid::text AS id, calls, round(mean_exec_time::numeric, 1)::float8 AS mean_milliseconds,
       round(total_exec_time::numeric / 1000, 1)::float8 AS total_seconds, query AS statement
FROM {view}
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND calls >= 5
  AND query !~* '^\s*(copy|vacuum|analyze|create|alter|reindex|cluster|refresh)\y'
ORDER BY mean_exec_time DESC
LIMIT 5

-- statement_numbers --
-- One text of another encoding, in any database, makes the view unreadable; the numbers are kept apart from the texts.
SELECT queryid::text AS id, calls, round(mean_exec_time::numeric, 1)::float8 AS mean_milliseconds,
       round(total_exec_time::numeric / 1000, 1)::float8 AS total_seconds, 'text in another encoding' AS statement
FROM {view}(false)
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND calls >= 5
ORDER BY mean_exec_time DESC
LIMIT 5
