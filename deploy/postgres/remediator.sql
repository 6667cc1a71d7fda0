-- The role that `admin_dsn` logs in as. It sees the state of every session and may signal those of other roles, but not
-- of superusers: PostgreSQL itself keeps it to that. It can read no table. Run this as a superuser in any database, again
-- whenever it changes, and then give it a password:
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
-- One connection a run; a few more, so that one that hangs does not lock the remediator out.
ALTER ROLE remediator NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT CONNECTION LIMIT 5;
GRANT pg_signal_backend, pg_read_all_stats TO remediator;
-- These hold whatever the client asks for at connect, until it asks for something else.
ALTER ROLE remediator SET default_transaction_read_only = on;
ALTER ROLE remediator SET statement_timeout = '10s';
ALTER ROLE remediator SET lock_timeout = '2s';
ALTER ROLE remediator SET idle_session_timeout = '60s';
ALTER ROLE remediator SET tcp_keepalives_idle = 30;
