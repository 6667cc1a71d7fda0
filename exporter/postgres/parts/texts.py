"""Texts of the most expensive statements, in the background and only if enabled.

The server reads the file with all texts for this. It keeps the constants of utility statements, including passwords,
so only queries are exported.
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
        "query": f"left(regexp_replace(left(min(query), {LENGTH * 4}), '[[:space:]]+', ' ', 'g'), {LENGTH})",
    },
    rows=f"""
FROM (
    SELECT dbid, queryid, query, total_exec_time
    FROM {{schema}}.pg_stat_statements(true)
    WHERE queryid IS NOT NULL
        AND left(query, 40) ~* '^[[:space:]]*(select|insert|update|delete|with|merge|values)([^[:alnum:]_]|$)'
) AS s JOIN databases AS d ON d.oid = s.dbid
GROUP BY d.datname, queryid
ORDER BY sum(total_exec_time) DESC, d.datname, queryid
LIMIT {STATEMENTS}""",
    most=STATEMENTS,
    values=(
        gauge(
            "pg_stat_statements_query_info",
            f"Always 1; the label is the start of the query's text, at most {LENGTH} characters.",
            "1",
        ),
    ),
)
