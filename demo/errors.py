"""Errors of the demo, for a reader who tries the project for the first time.

DemoError
├── DemoAlreadyRunning    a demo of this checkout is running
├── DemoNotRunning        the command needs a running demo
└── DemoNotReady          a part did not become ready in time
"""


class DemoError(Exception):
    """Base of all errors of the demo; its text is the one line that the command prints."""


class DemoAlreadyRunning(DemoError):
    """A demo of this checkout is running."""


class DemoNotRunning(DemoError):
    """No demo of this checkout is running."""


class DemoNotReady(DemoError):
    """A part of the demo did not become ready in time."""
