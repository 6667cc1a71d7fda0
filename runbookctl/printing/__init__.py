"""Prints answers: text for operators, JSON for programs.

The commands call these functions; they send no requests and decide nothing.
"""
