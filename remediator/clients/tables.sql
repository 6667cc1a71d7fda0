-- backup --
-- A running backup, not a session that streams the WAL for ever. $1 beginnings of backup tools' names
SELECT application_name FROM pg_stat_activity
WHERE EXISTS (SELECT FROM unnest($1::text[]) AS prefix WHERE starts_with(lower(application_name), prefix))
  AND backend_type = 'client backend'
UNION ALL
SELECT 'pg_basebackup' FROM pg_stat_progress_basebackup
LIMIT 1

-- population --
SELECT count(*) FROM pg_stat_user_tables

-- name --
-- $1 oid; the server quotes the name
SELECT format('%I.%I', namespace.nspname, class.relname)
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.oid = $1::bigint::oid

-- same --
-- Whether the name is still the planned table with its planned content, and the table is small enough.
-- $1 name, $2 oid, $3 relfilenode, $4 maximum bytes
SELECT class.relfilenode = $3::bigint::oid AS same_content, pg_relation_size(class.oid) <= $4::bigint AS small_enough
FROM pg_class AS class
WHERE class.oid = to_regclass($1) AND class.oid = $2::bigint::oid
