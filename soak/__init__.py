"""Runs the exporter for ten minutes against failing servers, and checks that it leaks nothing.

Faults come from `soak.faults`, servers from `demo`.
"""
