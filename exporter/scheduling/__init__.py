"""When each target is read, over which connection, and for how long.

It stands between exporter/scrape.py, which wants samples of all targets, and the collectors, which read one.
"""
