-- What `analyze_tables` needs beyond remediator.sql. Run this after it, as a superuser, in the product's database, and
-- again for each further owner or schema:
--
--     psql -d shop -v owner=shop_owner -v schema=public -f analyze_tables.sql
--
-- Before PostgreSQL 17 only a table's owner may analyze it, and a member of the owner may do all that the owner may: read
-- and change its tables, drop them. remediator.sql makes the role's transactions read-only until it asks for something
-- else; if that is not enough for you, leave this remediation off, or give this right with PostgreSQL 17, where it is one
-- of its own and allows no reading. `runbookctl doctor` will tell you that such a role is too wide, and it is right.
SELECT :SERVER_VERSION_NUM >= 170000 AS has_maintain, :SERVER_VERSION_NUM >= 160000 AS has_set \gset
\if :has_maintain
    GRANT MAINTAIN ON ALL TABLES IN SCHEMA :"schema" TO remediator;
    ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT MAINTAIN ON TABLES TO remediator;
\elif :has_set
    GRANT :"owner" TO remediator WITH INHERIT TRUE, SET FALSE;
\else
    GRANT :"owner" TO remediator;
\endif
