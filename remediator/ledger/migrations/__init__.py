"""Every change of the ledger's tables, in order. A released migration is never edited.

The store applies them when it opens a ledger of an earlier release.
"""
