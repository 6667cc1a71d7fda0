"""HTTP endpoints: whether a request is answered with the status that the inventory expects.

It measures a stack from outside, as blackbox_exporter does.
"""
