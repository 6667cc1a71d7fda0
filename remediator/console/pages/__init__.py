"""The pages of the console, one file per page.

Each reads the ledger by an index and within a limit, and renders one template.
"""
