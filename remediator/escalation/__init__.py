"""Escalation: which outcomes are reported, to whom and when, the messages, the sending.

Here the loop hands over to the on-call what it could not fix.
"""
