"""Judges a run of chaos by its evidence: the ledger, the servers' own records, and what the senders were answered.

Each rule of `rules.py` is a pure function of the evidence, so that a doctored ledger shows that it can fail.
"""
