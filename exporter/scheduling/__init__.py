"""Schedules readings: when each target is read, over which connection, and for how long.

exporter/scrape.py asks it for the samples of all targets; each collector reads one target.
"""
