"""The vocabulary of the remediator: run states, targets, deliveries, remediations.

It does no I/O and imports no other part of the remediator.
"""
