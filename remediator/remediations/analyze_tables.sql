-- backup --
-- A running backup, not a session that streams the WAL for ever. $1 beginnings of backup tools' names
SELECT application_name FROM pg_stat_activity
WHERE EXISTS (SELECT FROM unnest($1::text[]) AS prefix WHERE starts_with(lower(application_name), prefix))
  AND backend_type = 'client backend'
UNION ALL
SELECT 'pg_basebackup' FROM pg_stat_progress_basebackup
LIMIT 1

-- candidates --
-- Tables whose statistics are out of date, the most modified first, and why one cannot be analyzed. Sizes are the
-- planner's estimates: reading them from disk would wait for a locked table.
-- $1 minimum share of rows modified, $2 minimum rows modified, $3 maximum bytes, $4 maximum age of the statistics of a
-- modified table; never analyzed is older than any age
SELECT class.oid::bigint AS oid, class.relfilenode::bigint AS relfilenode,
       namespace.nspname AS schema, class.relname AS table, owner.rolname AS owner,
       tables.n_mod_since_analyze AS modified, tables.n_live_tup AS rows,
       class.relpages::bigint * current_setting('block_size')::int AS bytes,
       greatest(tables.last_analyze, tables.last_autoanalyze) AS analyzed,
       CASE
           WHEN NOT ({may_analyze}) THEN 'no_right'
           WHEN class.relpages::bigint * current_setting('block_size')::int > $3::bigint THEN 'too_large'
           ELSE ''
       END AS left_out
FROM pg_stat_user_tables AS tables
JOIN pg_class AS class ON class.oid = tables.relid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_roles AS owner ON owner.oid = class.relowner
WHERE class.relkind = 'r'
  AND class.relpersistence <> 't'
  AND (tables.n_mod_since_analyze >= $2::bigint
       AND tables.n_mod_since_analyze >= $1::float8 * greatest(tables.n_live_tup, 1)
    OR tables.n_mod_since_analyze > 0
       AND coalesce(greatest(tables.last_analyze, tables.last_autoanalyze), '-infinity') < now() - $4::interval)

-- plan --
-- $5 maximum number of rows
WITH candidates AS ({candidates})
SELECT *, count(*) OVER (PARTITION BY left_out) AS found
FROM candidates
ORDER BY left_out, modified::float8 / greatest(rows, 1) DESC, oid
LIMIT $5

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

-- state --
-- $1 oid
SELECT class.relfilenode::bigint AS relfilenode, tables.n_mod_since_analyze AS modified, tables.n_live_tup AS rows,
       greatest(tables.last_analyze, tables.last_autoanalyze) AS analyzed
FROM pg_stat_user_tables AS tables
JOIN pg_class AS class ON class.oid = tables.relid
WHERE tables.relid = $1::bigint::oid

-- at_work --
-- Other sessions of the same run: an effect whose answer was lost may still be running.
SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid() AND state = 'active'
