"""The check-list of a release, and the list of names that others script against.

`python -m tools.release` runs the check-list. It reads the project and stands outside the loop.
"""
