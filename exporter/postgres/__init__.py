"""PostgreSQL: which queries the exporter sends to a server, and how.

Each file of `parts/` declares metrics with the SQL of their values; `parts.joined_statement` joins those that a server
can answer. On a scrape, `client` sends the statement over a connection made by `connect`; in the background,
`database_jobs` and `user_queries` share the connection of `session`.
"""
