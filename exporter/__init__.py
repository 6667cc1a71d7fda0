"""The exporter: the first step of the loop, it measures every target of the inventory on each scrape.

It never judges what it measures; the alert rules do.
"""
