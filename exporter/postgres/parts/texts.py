"""What the most expensive statements say, read in the background and only where the inventory asks for it.

The server reads the file with all texts for this. Of statements that are no queries it keeps the constants, passwords
among them, so that only queries are told.
"""

from exporter.postgres.parts.part import Part, gauge
from exporter.postgres.parts.top_statements import STATEMENTS

LENGTH = 300

TEXTS = Part(
    "statement texts",
    source="pg_stat_statements",
    reads=("databases",),
    sessions=True,
    extension=True,
    cached=True,
    labels={
        "datname": "d.datname",
        "queryid": "queryid::text",
        "query": f"left(regexp_replace(left(min(query), {LENGTH * 4}), '\\s+', ' ', 'g'), {LENGTH})",
    },
    rows=f"""
FROM (
    SELECT dbid, queryid, query, total_exec_time
    FROM {{schema}}.pg_stat_statements(true)
    WHERE queryid IS NOT NULL AND left(query, 40) ~* '^\\s*(select|insert|update|delete|with|merge|values)\\M'
) AS s JOIN databases AS d ON d.oid = s.dbid
GROUP BY d.datname, queryid
ORDER BY sum(total_exec_time) DESC, d.datname, queryid
LIMIT {STATEMENTS}""",
    most=STATEMENTS,
    values=(
        gauge(
            "pg_stat_statements_query_info",
            f"Always 1; the label is the start of a query's text, {LENGTH} characters at the most.",
            "1",
        ),
    ),
)
