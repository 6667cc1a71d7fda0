"""The exporter: measures every target of the inventory on each scrape.

It is the first step of the loop. It only measures; the alert rules judge.
"""
