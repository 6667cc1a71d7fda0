"""Fetches what the demonstration and the tests need, into the checkout and nowhere else.

Only the standard library is used here: this code makes the virtual environment that everything else lives in.
"""
