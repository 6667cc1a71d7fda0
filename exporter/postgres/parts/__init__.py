"""One file per subject of PostgreSQL: metrics with the SQL of their values.

`catalogue` lists them, `statement` joins the ones that a server can answer; the collector sends the result.
"""
