"""Fetches everything for the demo and the tests into the checkout, and nothing outside it.

It uses only the standard library, because it creates the virtual environment for everything else.
"""
