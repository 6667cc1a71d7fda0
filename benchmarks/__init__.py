"""Benchmarks, whose results depend on the machine. Properties that hold on every machine are tests instead.

They measure the cost of the loop: a scrape, a page, a delivery, a large ledger, and a comparison with other exporters.
"""
