"""HTTP endpoints: whether they answer with the status that the inventory expects.

This kind measures a stack from outside, as blackbox_exporter does.
"""
