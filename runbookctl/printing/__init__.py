"""How answers are printed: text for a person, JSON for a program.

The commands call these; they ask nobody and decide nothing.
"""
