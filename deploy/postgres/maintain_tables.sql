-- Grants the further rights of `analyze_tables` and `vacuum_tables`. Run this after remediator.sql, as a superuser, in the
-- product's database, once per owner and schema:
--
--     psql -d shop -v owner=shop_owner -v schema=public -f maintain_tables.sql
--
-- Before PostgreSQL 17, only a table's owner may vacuum and analyze it, and a member of the owner role can also read,
-- change and drop its tables. remediator.sql only makes the role's transactions read-only by default, which the role can
-- override. If that is not enough, leave these remediations off, or use PostgreSQL 17, whose MAINTAIN right does not
-- include reading. Before 17, `runbookctl doctor` rightly reports that the role has too many rights, and
-- `vacuum_tables` refuses mode `auto`. After an upgrade to 17, run this again, and REVOKE the owner's role.
SELECT :SERVER_VERSION_NUM >= 170000 AS has_maintain, :SERVER_VERSION_NUM >= 160000 AS has_set \gset
\if :has_maintain
    GRANT MAINTAIN ON ALL TABLES IN SCHEMA :"schema" TO remediator;
    ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT MAINTAIN ON TABLES TO remediator;
\elif :has_set
    GRANT :"owner" TO remediator WITH INHERIT TRUE, SET FALSE;
\else
    GRANT :"owner" TO remediator;
\endif
