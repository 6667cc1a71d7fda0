"""Runs the exporter for long against real servers that fail, and checks whether anything piles up.

Faults come from `soak.faults`, servers from `demo`.
"""
