"""Runs the exporter for ten minutes against failing servers to find leaks.

Faults come from `soak.faults`, servers from `demo`.
"""
