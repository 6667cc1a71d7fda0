"""All parts: those of the scrape's statement, and those of the background jobs.

A part that may wait for a table lock, or makes the server count files, must not be in the scrape's statement.
"""

from exporter.postgres.parts import (
    activity,
    databases,
    indexes,
    locks,
    maintenance,
    replication,
    sequences,
    settings,
    sizes,
    tables,
    texts,
    top_statements,
    wal,
)
from exporter.postgres.parts.part import Part

SCRAPE_PARTS: tuple[Part, ...] = (
    *settings.PARTS,
    *activity.PARTS,
    *locks.PARTS,
    *databases.PARTS,
    *maintenance.PARTS,
    *replication.PARTS,
    *wal.PARTS,
    *top_statements.PARTS,
    *tables.PARTS,
)
SERVER_JOBS: dict[str, tuple[Part, ...]] = {
    "database sizes": (sizes.DATABASE_SIZES,),
    "wal files": (sizes.WAL_FILES,),
}
"""Jobs of the server as a whole, with their parts."""
DATABASE_JOBS: dict[str, tuple[Part, ...]] = {
    "table sizes": (sizes.TABLE_SIZES,),
    "indexes": (indexes.COUNTS, indexes.LARGEST),
    "sequences": (sequences.COUNTS, sequences.USAGE),
}
"""Jobs of each database."""
OTHER_DATABASE_JOBS = {"tables": tables.PARTS}
"""Jobs of each database that the scrape's statement cannot read."""
OPTIONAL_JOBS = {"statement texts": (texts.TEXTS,)}
"""Jobs of the server that the inventory has to enable."""
BACKGROUND_PARTS: tuple[Part, ...] = tuple(
    part for jobs in (SERVER_JOBS, DATABASE_JOBS, OPTIONAL_JOBS) for parts in jobs.values() for part in parts
)
