"""The ledger in a PostgreSQL database: the store, its lock, the lease of its only writer, and its own tables.

Only this package uses PostgreSQL directly; the rest of ledger/ uses SQLAlchemy.
"""
