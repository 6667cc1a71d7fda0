-- Facts about the session's own role for a dump, in one row of JSON.
SELECT json_build_object(
    'role', current_user,
    'version', current_setting('server_version_num')::int / 10000,
    'unreadable', (
        SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'SELECT')
                             ELSE c.relkind IN ('r', 'p', 'm') AND NOT has_table_privilege(c.oid, 'SELECT') END)
)
