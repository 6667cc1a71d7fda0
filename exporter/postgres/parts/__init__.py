"""One file per subject of PostgreSQL: metrics with the SQL of their values.

`catalogue` lists them; `joined_statement` joins those that a server can answer.
"""
