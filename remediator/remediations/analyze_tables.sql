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
           WHEN NOT ({may_maintain}) THEN 'no_right'
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

-- state --
-- $1 oid
SELECT class.relfilenode::bigint AS relfilenode, tables.n_mod_since_analyze AS modified, tables.n_live_tup AS rows,
       greatest(tables.last_analyze, tables.last_autoanalyze) AS analyzed
FROM pg_stat_user_tables AS tables
JOIN pg_class AS class ON class.oid = tables.relid
WHERE tables.relid = $1::bigint::oid
