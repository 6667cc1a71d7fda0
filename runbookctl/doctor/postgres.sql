-- All facts about the session's own role, in one row of JSON.
SELECT json_build_object(
    'role', current_user,
    'database', current_database(),
    'version', current_setting('server_version_num')::int / 10000,
    'attributes', (
        SELECT array_remove(ARRAY[
            CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
            CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
            CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL)
        FROM pg_roles WHERE rolname = current_user),
    'connection_limit', (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
    'has', (
        SELECT array_agg(rolname) FROM pg_roles
        WHERE rolname ~ '^pg_' AND pg_has_role(current_user, oid, 'USAGE')),
    'member_of', (
        SELECT array_agg(r.rolname ORDER BY r.rolname)
        FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.roleid
        WHERE m.member = (SELECT oid FROM pg_roles WHERE rolname = current_user)),
    'settings', (
        SELECT json_object_agg(name, setting) FROM pg_settings
        WHERE name IN ('statement_timeout', 'lock_timeout', 'default_transaction_read_only', 'idle_session_timeout',
                       'tcp_keepalives_idle', 'track_activities', 'track_counts', 'shared_preload_libraries',
                       'pg_stat_statements.track')),
    'extensions', (SELECT array_agg(extname) FROM pg_extension),
    'writable', (
        SELECT json_agg(json_build_object('name', name, 'owner', owner))
        FROM (
            SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_has_role(current_user, c.relowner, 'USAGE') AS owner
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              AND has_table_privilege(current_user, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
            ORDER BY n.nspname, c.relname LIMIT 20) AS found),
    -- Before 17, only the owner may vacuum and analyze a table.
    'unmaintained', (
        SELECT json_agg(json_build_object('name', name, 'schema', schema, 'owner', owner))
        FROM (
            SELECT format('%I.%I', n.nspname, c.relname) AS name, n.nspname AS schema, o.rolname AS owner
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_roles AS o ON o.oid = c.relowner
            WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              AND NOT pg_has_role(current_user, c.relowner, 'USAGE')
              AND NOT CASE WHEN current_setting('server_version_num')::int >= 170000
                      THEN has_table_privilege(current_user, c.oid, 'MAINTAIN') ELSE false END
            ORDER BY n.nspname, c.relname LIMIT 20) AS found),
    -- Without rights granted to PUBLIC: up to PostgreSQL 14 every role may create in schema public.
    'creatable', (
        SELECT array_agg(quote_ident(nspname) ORDER BY nspname) FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND has_schema_privilege(current_user, oid, 'CREATE')
          AND NOT EXISTS (
              SELECT FROM aclexplode(nspacl) AS a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE'))
)
