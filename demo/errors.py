"""Errors of the demo, worded for somebody who tries the project for the first time.

DemoError
├── DemoAlreadyRunning    a demo runs in this checkout
├── DemoNotRunning        there is none, and the command needs one
└── DemoNotReady          a part of it did not become ready in time
"""


class DemoError(Exception):
    """Base of all errors that the demo raises itself; its text is the one line that people see."""


class DemoAlreadyRunning(DemoError):
    """A demo runs in this checkout."""


class DemoNotRunning(DemoError):
    """No demo runs in this checkout."""


class DemoNotReady(DemoError):
    """A part of the demo did not become ready in time."""
