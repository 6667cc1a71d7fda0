"""The commands of `runbookctl`, one file per group.

Each asks the remediator, or the inventory, one question and prints the answer.
"""
