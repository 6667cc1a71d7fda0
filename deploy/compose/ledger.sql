-- Creates the roles of the ledger for deploy/compose/replicas.yml. PostgreSQL's image runs it once, as superuser.
\getenv password POSTGRES_PASSWORD
\i /runbookd/ledger.sql
ALTER ROLE runbookd_owner PASSWORD :'password';
ALTER ROLE runbookd_writer PASSWORD :'password';
ALTER ROLE runbookd_auditor PASSWORD :'password';
