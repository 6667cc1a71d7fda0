"""The ledger in a SQLite file: the store, its writer, its lock, and its checks.

Only this package uses SQLite directly; the rest of ledger/ uses SQLAlchemy.
"""
