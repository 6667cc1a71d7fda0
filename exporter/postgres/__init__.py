"""PostgreSQL: what is asked of a server, and how.

Each file of `parts/` declares metrics with the SQL of their values; `parts.statement` joins those that a server can
answer. On a scrape `client` sends the result over a connection that `connect` made; in the background `database_jobs`
and `user_queries` send theirs over that of `session`.
"""
