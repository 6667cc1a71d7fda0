"""Sequences of one database, read in the background: how much of each is used.

Reading a sequence locks it against DROP until the transaction ends; therefore at most CANDIDATES are read. The role
needs the right to read sequences, which pg_monitor does not give.
"""

from exporter.postgres.parts.part import Part, gauge

SEQUENCES, CANDIDATES = 100, 500

# A column narrower than its sequence overflows first.
_SEQUENCES = """
SELECT c.oid, n.nspname, c.relname, s.seqmin, s.seqmax, s.seqincrement, s.seqcycle,
       has_sequence_privilege(c.oid, 'SELECT') AS readable,
       CASE (SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = d.refobjid AND attnum = d.refobjsubid)
           WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647 ELSE s.seqmax END AS column_end
FROM pg_sequence AS s
JOIN pg_class AS c ON c.oid = s.seqrelid AND c.relpersistence <> 't'
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_'
LEFT JOIN pg_depend AS d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.refobjsubid > 0
    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
WHERE c.oid NOT IN (SELECT relation FROM locked)"""

COUNTS = Part(
    "sequence counts",
    source="pg_sequence",
    reads=("locked",),
    cached=True,
    labels={"datname": "current_database()"},
    rows=f"FROM ({_SEQUENCES}) AS sequences",
    values=(
        gauge("pg_sequences", "Sequences of the database.", "count(*)"),
        gauge(
            "pg_sequences_unreadable",
            "Sequences that the exporter's role may not read; their usage is unknown.",
            "count(*) FILTER (WHERE NOT readable)",
        ),
    ),
)

USAGE = Part(
    "sequences",
    source="pg_sequences",
    reads=("locked",),
    cached=True,
    labels={"datname": "current_database()", "schemaname": "nspname", "sequencename": "relname"},
    rows=f"""
FROM (
    SELECT nspname, relname,
           CASE WHEN seqincrement > 0
               THEN (coalesce(pg_sequence_last_value(oid), seqmin)::float8 - seqmin)
                    / nullif(least(seqmax, column_end)::float8 - seqmin, 0)
               ELSE (seqmax::float8 - coalesce(pg_sequence_last_value(oid), seqmax))
                    / nullif(seqmax::float8 - seqmin, 0)
           END AS used
    FROM ({_SEQUENCES} AND NOT s.seqcycle ORDER BY column_end, c.oid LIMIT {CANDIDATES}) AS sequences
    WHERE readable
    ORDER BY used DESC NULLS LAST, nspname, relname
    LIMIT {SEQUENCES}
) AS sequences""",
    most=SEQUENCES,
    values=(
        gauge(
            "pg_sequence_used_ratio",
            f"Used share of the sequence, or of the narrower column that it fills, 0 to 1; only the {SEQUENCES} "
            "with the highest share. Cycling sequences are left out.",
            "used",
        ),
    ),
)
