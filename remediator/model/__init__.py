"""The vocabulary of the remediator as types: run states, targets, deliveries, windows, remediations.

It does no I/O and imports no other part of the remediator.
"""
