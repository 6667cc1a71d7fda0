-- candidates --
-- Tables with many dead rows, or with some and not vacuumed for long, and why one cannot be vacuumed. Sizes are the
-- planner's estimates: reading them from disk would wait for a locked table.
-- $1 minimum share of dead rows, $2 minimum number of dead rows, $3 maximum bytes, $4 maximum age of the last vacuum of
-- a table with dead rows; never vacuumed is older than any age. $5 whether the rights of the owner are too wide
SELECT class.oid::bigint AS oid, class.relfilenode::bigint AS relfilenode,
       namespace.nspname AS schema, class.relname AS table, owner.rolname AS owner,
       tables.n_dead_tup AS dead, tables.n_live_tup AS rows,
       class.relpages::bigint * current_setting('block_size')::int AS bytes,
       greatest(tables.last_vacuum, tables.last_autovacuum) AS vacuumed,
       CASE
           WHEN NOT ({may_maintain}) THEN 'no_right'
           WHEN $5::boolean AND {owns} THEN 'role_too_wide'
           WHEN class.relpages::bigint * current_setting('block_size')::int > $3::bigint THEN 'too_large'
           WHEN class.oid IN (SELECT relid FROM pg_stat_progress_vacuum) THEN 'being_vacuumed'
           ELSE ''
       END AS left_out
FROM pg_stat_user_tables AS tables
JOIN pg_class AS class ON class.oid = tables.relid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_roles AS owner ON owner.oid = class.relowner
WHERE class.relkind = 'r'
  AND class.relpersistence <> 't'
  AND (tables.n_dead_tup >= $2::bigint
       AND tables.n_dead_tup >= $1::float8 * greatest(tables.n_live_tup, 1)
    OR tables.n_dead_tup > 0
       AND coalesce(greatest(tables.last_vacuum, tables.last_autovacuum), '-infinity') < now() - $4::interval)

-- plan --
-- $6 maximum number of rows
WITH candidates AS ({candidates})
SELECT *, count(*) OVER (PARTITION BY left_out) AS found
FROM candidates
ORDER BY left_out, dead::float8 / greatest(rows, 1) DESC, oid
LIMIT $6

-- being_vacuumed --
-- $1 oid
SELECT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE relid = $1::bigint::oid AND datname = current_database())

-- state --
-- $1 oid
SELECT class.relfilenode::bigint AS relfilenode, tables.n_dead_tup AS dead, tables.n_live_tup AS rows,
       tables.vacuum_count AS count, greatest(tables.last_vacuum, tables.last_autovacuum) AS vacuumed
FROM pg_stat_user_tables AS tables
JOIN pg_class AS class ON class.oid = tables.relid
WHERE tables.relid = $1::bigint::oid
