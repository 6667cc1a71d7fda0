-- Creates the roles and the product's database for compose.yaml. PostgreSQL's image runs it once, as superuser.
\getenv password POSTGRES_PASSWORD
CREATE ROLE product LOGIN PASSWORD :'password';
CREATE ROLE dumper LOGIN PASSWORD :'password';
GRANT pg_read_all_data TO dumper;
ALTER ROLE dumper SET default_transaction_read_only = on;
\i /product/exporter.sql
ALTER ROLE metrics PASSWORD :'password';
\i /product/remediator.sql
ALTER ROLE remediator PASSWORD :'password';
CREATE DATABASE shop OWNER product;
\connect shop product
\i /product/schema.sql
