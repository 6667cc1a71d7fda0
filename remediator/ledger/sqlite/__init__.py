"""The ledger in a SQLite file: the store, its single writer, its lock, and the checks of its files.

Only this package uses SQLite directly; the rest of ledger/ uses SQLAlchemy.
"""
