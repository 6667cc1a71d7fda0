"""`runbookctl`, the operator's command: what a person asks the remediator, and tells it.

It speaks to the remediator over HTTP and reads the inventory; it touches no target but in `doctor`, read-only.
"""
