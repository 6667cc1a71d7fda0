"""PostgreSQL: what is asked of a server, and how.

Each subject (`activity`, `locks`, `databases`, …) declares its parts: metrics with the SQL of their values. `parts`
lists them. `statement` joins those that a server can answer, `server` finds out which these are, `client` asks.
"""
