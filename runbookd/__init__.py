"""What the exporter, the remediator and `runbookctl` share.

It is below all three: it imports none of them.
"""
