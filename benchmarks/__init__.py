"""Measurements that a machine decides; what must hold on every machine is a test.

They watch what the loop costs: a scrape, a page, a delivery, a large ledger, beside the exporters of others.
"""
