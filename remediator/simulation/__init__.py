"""Simulates the remediator: its own intake, bounds, runs and messages, on a virtual clock and a ledger in memory.

It stands beside the loop: runbookctl asks it what would have happened, and nothing of the remediator imports it.
"""
