"""Every change of the ledger's tables, in order. A released one is never edited."""
