"""PostgreSQL: what is asked of a server, and how.

Each subject (`activity`, `locks`, `databases`, …) declares its parts: metrics with the SQL of their values. `parts`
lists them. `statement` joins those that a server can answer, and `server` tells which these are. On a scrape `client`
asks, over a connection that `connect` made; in the background `visits` and `queries` do, over that of `background`.
"""
