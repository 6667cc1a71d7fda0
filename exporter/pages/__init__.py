"""The pages for operators: landing page, debug page, and costs of an inventory.

The landing page shows the state that scheduling/ keeps. The debug page scrapes first, as `/metrics` does.
"""
