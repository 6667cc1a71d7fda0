"""Escalation: which outcomes are reported, to which contacts and when, the messages and their delivery.

Here the loop hands over to the on-call what it could not fix.
"""
