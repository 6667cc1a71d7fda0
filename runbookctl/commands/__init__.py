"""The commands of `runbookctl`, one file per group.

Each sends a request to the remediator, or reads the inventory, and prints the answer.
"""
