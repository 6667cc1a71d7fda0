-- candidates --
-- Sessions that may be ended, with every rule that protects others. Planning and acting share this text.
-- $1 older than (interval), $2 to $4 see sessions.sql
SELECT activity.pid, activity.backend_start, activity.xact_start, activity.state_change,
       activity.usename, activity.application_name, activity.client_addr, activity.query
FROM pg_stat_activity AS activity
JOIN pg_roles AS role ON role.oid = activity.usesysid
WHERE activity.backend_type = 'client backend'
  AND activity.datname = current_database()
  AND activity.state = 'idle in transaction'
  AND activity.state_change < clock_timestamp() - $1::interval
  AND NOT ({protected})

-- plan --
-- Only the first word of the last statement: the rest may hold personal data. $5 maximum number of rows
WITH candidates AS ({candidates}),
     waiting AS MATERIALIZED (
         SELECT pid, unnest(pg_blocking_pids(pid)) AS blocker
         FROM pg_stat_activity
         WHERE wait_event_type = 'Lock'
     )
SELECT pid, backend_start, xact_start, state_change, usename, application_name, host(client_addr) AS client_address,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS idle_seconds,
       (SELECT count(DISTINCT waiting.pid) FROM waiting WHERE waiting.blocker = candidates.pid) AS blocks_sessions,
       upper(substring(query FROM '^\s*([A-Za-z]+)')) AS last_command,
       count(*) OVER () AS found
FROM candidates
ORDER BY state_change, pid
LIMIT $5

-- end_one --
-- One backend per statement: the check and the signal belong together, and a set would stop at its first refusal.
-- $5 pid, $6 backend_start, $7 xact_start, $8 state_change, $9 how long to wait for it to end (ms)
WITH candidates AS ({candidates})
SELECT pg_terminate_backend(pid, $9)
FROM candidates
WHERE pid = $5 AND backend_start = $6 AND xact_start = $7 AND state_change = $8

-- remains --
SELECT state, xact_start, state_change
FROM pg_stat_activity
WHERE pid = $1 AND backend_start = $2
