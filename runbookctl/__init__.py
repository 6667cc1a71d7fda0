"""`runbookctl`, the operator's command.

It calls the remediator's API and reads the inventory. Only `doctor` connects to targets, and it changes nothing.
"""
