-- Creates the role of `admin_dsn`. It sees the state of every session and may signal all sessions except those of
-- superusers; PostgreSQL enforces that. It cannot read any table. Run this as a superuser in any database, again after
-- every update of this file, then set a password:
--
--     psql -f remediator.sql
--     psql -c '\password remediator'
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'remediator') THEN
        CREATE ROLE remediator LOGIN;
    END IF;
END
$$;
-- One connection per run, plus spare ones, so that a hung connection does not lock the remediator out.
ALTER ROLE remediator NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT CONNECTION LIMIT 5;
GRANT pg_signal_backend, pg_read_all_stats TO remediator;
-- Defaults of every session, until the client overrides them with SET.
ALTER ROLE remediator SET default_transaction_read_only = on;
ALTER ROLE remediator SET statement_timeout = '10s';
ALTER ROLE remediator SET lock_timeout = '2s';
ALTER ROLE remediator SET idle_session_timeout = '60s';
ALTER ROLE remediator SET tcp_keepalives_idle = 30;
