-- Creates the roles of a ledger on PostgreSQL 14 to 18, and its schema. Run this as a superuser (or the administrator of a
-- managed service) in a database that only the ledger uses, on a server that is no target of the remediator; again after
-- every update of this file. Then set the passwords, and create the tables:
--
--     createdb runbookd
--     psql -d runbookd -f ledger.sql
--     psql -c '\password runbookd_owner' -c '\password runbookd_writer' -c '\password runbookd_auditor'
--     runbookctl ledger migrate owner.url
--
-- runbookd_owner    owns the tables. `runbookctl ledger migrate` uses it, the remediator never does.
-- runbookd_writer   is the role of --ledger.url. It cannot update, delete or truncate rows of the audit trail.
-- runbookd_auditor  only reads.
\set ON_ERROR_STOP on
BEGIN;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['runbookd_owner', 'runbookd_writer', 'runbookd_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
        -- Only if needed: managed services refuse every statement with these attributes.
        IF EXISTS (
            SELECT FROM pg_roles
            WHERE rolname = name AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
        ) THEN
            EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name);
        END IF;
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = runbookd', name, current_database());
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO runbookd_owner, runbookd_writer, runbookd_auditor', current_database()
    );
END
$$;
-- An administrator who is no superuser must be a member of the role that gets the schema.
GRANT runbookd_owner TO CURRENT_USER;
CREATE SCHEMA IF NOT EXISTS runbookd AUTHORIZATION runbookd_owner;
REVOKE runbookd_owner FROM CURRENT_USER;
-- A commit that the remediator was told of must not be lost, whatever the server's default is.
ALTER ROLE runbookd_writer SET synchronous_commit = on;
-- Defaults of every session, also behind a pooler. The remediator sets stricter ones in its writing transactions.
ALTER ROLE runbookd_writer SET statement_timeout = '60s';
ALTER ROLE runbookd_writer SET idle_in_transaction_session_timeout = '2min';
ALTER ROLE runbookd_auditor SET default_transaction_read_only = on;
COMMIT;
