"""Runs three remediators on one ledger for minutes of faults, then audits what they did.

Servers come from `demo`, network faults from `soak`; `audit/` judges the evidence.
"""
