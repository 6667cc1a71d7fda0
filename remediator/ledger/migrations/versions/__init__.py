"""One file per change of the ledger's tables, applied in the order of their numbers.

See `remediator.ledger.schema` for what they add up to.
"""
