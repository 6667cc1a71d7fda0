-- sees_sessions --
-- Without it, the names and transactions of others read NULL, and nothing would ever be found.
SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')

-- migrations --
-- $1 beginnings of names of tools that change schemas; $2 how long a lock that excludes readers may be held. A table's
-- lock is as old as its transaction at most. A session may lock its own temporary tables for as long as it likes.
SELECT DISTINCT activity.pid, activity.application_name AS name
FROM pg_stat_activity AS activity
WHERE activity.datname = current_database()
  AND activity.backend_type = 'client backend'
  AND activity.pid <> pg_backend_pid()
  AND (EXISTS (SELECT FROM unnest($1::text[]) AS prefix WHERE starts_with(lower(activity.application_name), prefix))
    OR activity.xact_start < now() - $2::interval
       AND EXISTS (
           SELECT FROM pg_locks AS lock
           JOIN pg_class AS class ON class.oid = lock.relation
           WHERE lock.pid = activity.pid
             AND lock.locktype = 'relation'
             AND lock.mode = 'AccessExclusiveLock'
             AND lock.granted
             AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND class.relpersistence <> 't'))
ORDER BY 1
LIMIT 5

-- backups --
-- Running backups, not sessions that stream the WAL for ever. $1 beginnings of backup tools' names
SELECT pid, application_name AS name FROM pg_stat_activity
WHERE EXISTS (SELECT FROM unnest($1::text[]) AS prefix WHERE starts_with(lower(application_name), prefix))
  AND backend_type = 'client backend'
UNION
SELECT pid, 'pg_basebackup' FROM pg_stat_progress_basebackup
ORDER BY 1
LIMIT 5
