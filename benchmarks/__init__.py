"""Benchmarks, whose results depend on the machine; everything else is a test.

They measure the cost of the loop: a scrape, a page, a delivery, a large ledger, and a comparison with other exporters.
"""
