"""The pages for operators: the landing page, the debug page, and the costs of an inventory.

The landing page shows the state that scheduling/ keeps. The debug page scrapes first, as `/metrics` does.
"""
