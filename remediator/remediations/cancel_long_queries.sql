-- candidates --
-- Client sessions of this database that have been running one query for too long, and why one must not be touched.
-- Planning and acting share this text. $1 older than (interval), $2 to $4 see sessions.sql
-- COPY shows in its progress view. Other maintenance and schema changes show in their locks, even if the text is
-- truncated or a function hides the command; a lock on a temporary table tells nothing.
WITH maintenance AS MATERIALIZED (
    SELECT pid FROM pg_stat_progress_copy
    UNION
    SELECT lock.pid
    FROM pg_locks AS lock
    JOIN pg_database AS database ON database.oid = lock.database AND database.datname = current_database()
    LEFT JOIN pg_class AS class ON class.oid = lock.relation
    WHERE lock.locktype = 'relation'
      AND lock.granted
      AND lock.mode IN (
          'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
      )
      AND class.relpersistence IS DISTINCT FROM 't'
)
SELECT activity.pid, activity.backend_start, activity.query_start, activity.usename, activity.application_name,
       activity.client_addr, activity.wait_event_type, activity.query,
       CASE
           WHEN {protected} THEN 'protected'
           WHEN activity.pid IN (SELECT pid FROM maintenance) THEN 'maintenance'
           WHEN activity.wait_event_type = 'Lock' THEN 'waits_for_lock'
           -- Cancelled, the commit would report success although the standby does not have it.
           WHEN activity.wait_event = 'SyncRep' THEN 'waits_for_standby'
           ELSE ''
       END AS left_out
FROM pg_stat_activity AS activity
JOIN pg_roles AS role ON role.oid = activity.usesysid
WHERE activity.backend_type = 'client backend'
  AND activity.datname = current_database()
  AND activity.state = 'active'
  AND activity.query_start < clock_timestamp() - $1::interval

-- plan --
-- The text serves to find the command, and is not kept. $5 maximum number of rows
WITH candidates AS ({candidates}),
     waiting AS MATERIALIZED (
         SELECT pid, unnest(pg_blocking_pids(pid)) AS blocker
         FROM pg_stat_activity
         WHERE wait_event_type = 'Lock'
     )
SELECT pid, backend_start, query_start, usename, application_name, host(client_addr) AS client_address,
       wait_event_type, query, left_out,
       extract(epoch FROM clock_timestamp() - query_start)::float8 AS running_seconds,
       (SELECT count(DISTINCT waiting.pid) FROM waiting WHERE waiting.blocker = candidates.pid) AS blocks_sessions
FROM candidates
ORDER BY query_start, pid
LIMIT $5

-- blockers --
-- The sessions at the other end of the queues in which some sessions wait: those that wait for nobody themselves.
-- 0 stands for a prepared transaction. $1 pids of the waiting sessions, $2 maximum number of rows
WITH RECURSIVE waiting AS MATERIALIZED (
    SELECT pid, unnest(pg_blocking_pids(pid)) AS blocker
    FROM pg_stat_activity
    WHERE wait_event_type = 'Lock'
), queue (pid) AS (
    SELECT blocker FROM waiting WHERE pid = ANY ($1::int[])
    UNION
    SELECT waiting.blocker FROM waiting JOIN queue ON queue.pid = waiting.pid
)
SELECT queue.pid, activity.usename, activity.application_name, host(activity.client_addr) AS client_address,
       activity.state, extract(epoch FROM clock_timestamp() - activity.xact_start)::float8 AS transaction_seconds
FROM queue
LEFT JOIN pg_stat_activity AS activity ON activity.pid = queue.pid
WHERE queue.pid NOT IN (SELECT pid FROM waiting)
ORDER BY activity.xact_start, queue.pid
LIMIT $2

-- cancel_one --
-- One backend per statement: the check and the signal belong together. $5 pid, $6 backend_start, $7 query_start
WITH candidates AS ({candidates})
SELECT pg_cancel_backend(pid)
FROM candidates
WHERE pid = $5 AND backend_start = $6 AND query_start = $7 AND left_out = ''

-- terminate_one --
-- $8 how long to wait for it to end (ms)
WITH candidates AS ({candidates})
SELECT pg_terminate_backend(pid, $8)
FROM candidates
WHERE pid = $5 AND backend_start = $6 AND query_start = $7 AND left_out = ''

-- still_running --
SELECT EXISTS (
    SELECT FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2 AND query_start = $3 AND state = 'active'
)
