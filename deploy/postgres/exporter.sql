-- The role that `dsn` logs in as. It sees what every session does and the server's statistics, and can read no table. Run
-- this as a superuser (or, on a managed service, as its administrator) in any database, again whenever it changes, and
-- then give it a password:
--
--     psql -f exporter.sql
--     psql -c '\password metrics'
--
-- `runbookctl doctor` tells what is missing or too wide. Statements are counted only with the extension, which has to be
-- in shared_preload_libraries, in the database that `dsn` names: CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'metrics') THEN
        CREATE ROLE metrics LOGIN;
    END IF;
    -- Only where it is needed: on managed services nobody may so much as name these attributes.
    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'metrics' AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
    ) THEN
        ALTER ROLE metrics NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    END IF;
    -- PostgreSQL 13 has no such limit. It frees the slot of an exporter that is gone without a word.
    IF current_setting('server_version_num')::int >= 140000 THEN
        ALTER ROLE metrics SET idle_session_timeout = '5min';
    END IF;
END
$$;
-- The exporter uses two connections. Two more, for those that a lost network leaves behind for a while.
ALTER ROLE metrics LOGIN INHERIT CONNECTION LIMIT 4;
GRANT pg_monitor TO metrics;
-- These hold whatever the client asks for at connect, until it asks for something else; behind a pooler, too.
ALTER ROLE metrics SET default_transaction_read_only = on;
ALTER ROLE metrics SET statement_timeout = '10s';
ALTER ROLE metrics SET lock_timeout = '1s';
ALTER ROLE metrics SET tcp_keepalives_idle = 30;
