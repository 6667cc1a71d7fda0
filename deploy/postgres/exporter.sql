-- Creates the role of `dsn`. It sees all sessions and the server's statistics, and cannot read any table. Run this as a
-- superuser (or the administrator of a managed service) in any database, again after every update of this file, then set
-- a password:
--
--     psql -f exporter.sql
--     psql -c '\password metrics'
--
-- `runbookctl doctor` reports missing and excessive rights. Statement metrics need pg_stat_statements in
-- shared_preload_libraries and in the database of `dsn`: CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'metrics') THEN
        CREATE ROLE metrics LOGIN;
    END IF;
    -- Only if needed: managed services refuse every statement with these attributes.
    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'metrics' AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
    ) THEN
        ALTER ROLE metrics NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    END IF;
    -- Frees the slot of an exporter that disappeared without closing its connection. PostgreSQL 13 lacks this setting.
    IF current_setting('server_version_num')::int >= 140000 THEN
        ALTER ROLE metrics SET idle_session_timeout = '5min';
    END IF;
END
$$;
-- The exporter uses two connections; two more allow for stale ones after a network failure.
ALTER ROLE metrics LOGIN INHERIT CONNECTION LIMIT 4;
GRANT pg_monitor TO metrics;
-- Defaults of every session, also behind a pooler, until the client overrides them with SET.
ALTER ROLE metrics SET default_transaction_read_only = on;
ALTER ROLE metrics SET statement_timeout = '10s';
ALTER ROLE metrics SET lock_timeout = '1s';
ALTER ROLE metrics SET tcp_keepalives_idle = 30;
