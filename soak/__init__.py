"""Runs the exporter for long against real servers that fail, and looks whether anything piles up."""
