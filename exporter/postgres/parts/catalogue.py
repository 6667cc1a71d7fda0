"""All parts: those of the statement that a scrape sends, and those that are read in the background.

What can wait for a lock on a table, or makes the server count files, has no place in the statement.
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
    statements,
    tables,
    texts,
    wal,
)
from exporter.postgres.parts.part import Part

FAST: tuple[Part, ...] = (
    *settings.PARTS,
    *activity.PARTS,
    *locks.PARTS,
    *databases.PARTS,
    *maintenance.PARTS,
    *replication.PARTS,
    *wal.PARTS,
    *statements.PARTS,
    *tables.PARTS,
)
OF_SERVER: dict[str, tuple[Part, ...]] = {
    "database sizes": (sizes.DATABASE_SIZES,),
    "wal files": (sizes.WAL_FILES,),
}
"""Jobs of the server as a whole, with their parts."""
OF_DATABASES: dict[str, tuple[Part, ...]] = {
    "table sizes": (sizes.TABLE_SIZES,),
    "indexes": (indexes.COUNTS, indexes.LARGEST),
    "sequences": (sequences.COUNTS, sequences.USED),
}
"""Jobs of each database."""
OF_FURTHER_DATABASES = {"tables": tables.PARTS}
"""Jobs of each database that the statement of a scrape does not see."""
OPTIONAL = {"statement texts": (texts.TEXTS,)}
"""Jobs of the server that the inventory has to ask for."""
BACKGROUND: tuple[Part, ...] = tuple(
    part for jobs in (OF_SERVER, OF_DATABASES, OPTIONAL) for parts in jobs.values() for part in parts
)
