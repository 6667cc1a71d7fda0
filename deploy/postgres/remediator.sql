-- Creates the role of `admin_dsn`. It sees the state of every session and may signal all sessions except those of
-- superusers; PostgreSQL enforces that. It cannot read any table. Run this as a superuser (or the administrator of a
-- managed service) in any database, again after every update of this file, then set a password:
--
--     psql -f remediator.sql
--     psql -c '\password remediator'
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'remediator') THEN
        CREATE ROLE remediator LOGIN;
    END IF;
    -- Only if needed: managed services refuse every statement with these attributes.
    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'remediator' AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
    ) THEN
        ALTER ROLE remediator NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    END IF;
    -- Ends a session that the remediator has left. PostgreSQL 13 lacks this setting.
    IF current_setting('server_version_num')::int >= 140000 THEN
        ALTER ROLE remediator SET idle_session_timeout = '60s';
    END IF;
END
$$;
-- One connection per run, plus spare ones, so that a hung connection does not lock the remediator out.
ALTER ROLE remediator LOGIN INHERIT CONNECTION LIMIT 5;
GRANT pg_signal_backend, pg_read_all_stats TO remediator;
-- Defaults of every session, until the client overrides them with SET.
ALTER ROLE remediator SET default_transaction_read_only = on;
ALTER ROLE remediator SET statement_timeout = '10s';
ALTER ROLE remediator SET lock_timeout = '2s';
ALTER ROLE remediator SET tcp_keepalives_idle = 30;
