"""Code that the exporter, the remediator and `runbookctl` share: the inventory and the HTTP service around a daemon.

It stands beside the loop and imports none of them.
"""
