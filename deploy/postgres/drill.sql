-- Creates the role of `drill.dsn` on the scratch server, which is not the product's. It may create databases and nothing
-- else: a dump is a program, and a restore runs it as this role. Run this as a superuser in any database of the scratch
-- server, again after every update of this file, then set a password:
--
--     psql -f drill.sql
--     psql -c '\password drill'
--
-- Extensions that only a superuser can create belong into a template of the scratch server (drill.template):
--
--     CREATE DATABASE drill_template IS_TEMPLATE true;
--     \connect drill_template
--     CREATE EXTENSION pg_stat_statements;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'drill') THEN
        CREATE ROLE drill LOGIN;
    END IF;
END
$$;
-- pg_restore, the counts, the session that holds the lock, and spare ones.
ALTER ROLE drill NOSUPERUSER CREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 6;
-- Sorting and hashing of a restore must not fill the disk of the server.
ALTER ROLE drill SET temp_file_limit = '20GB';
ALTER ROLE drill SET lock_timeout = '10s';
ALTER ROLE drill SET tcp_keepalives_idle = 30;
