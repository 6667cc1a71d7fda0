"""The ledger in a SQLite file: the store, its single writer, its lock, and the checks of its files.

It is the only part that knows SQLite; the rest of ledger/ speaks SQLAlchemy.
"""
