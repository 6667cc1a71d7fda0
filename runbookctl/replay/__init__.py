"""Replays a past: alerts of Prometheus, or the deliveries of a ledger, through the remediator's own code.

`runbookctl replay` reads a history, plays it under the inventory and under a changed one, and shows what both would
have done. It needs no remediator.
"""
