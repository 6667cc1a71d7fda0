"""HTTP endpoints: the request that the inventory describes, and whether an answer to it is good.

The exporter measures with it, and the remediator proves with it.
"""
