"""One file per change of the ledger's tables, applied in the order of their numbers.

`remediator.ledger.schema` has the resulting tables.
"""
