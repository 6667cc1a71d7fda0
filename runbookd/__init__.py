"""Shared by the exporter, the remediator and `runbookctl`: inventory and HTTP service.

It stands beside the loop and imports none of them.
"""
