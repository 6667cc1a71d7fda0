"""Errors of the demo, worded for somebody who tries the project for the first time.

DemoError
├── AlreadyUp     a demo runs in this checkout
├── NotUp         there is none, and the command needs one
└── NotReady      a part of it did not become ready in time
"""


class DemoError(Exception):
    """Base of all errors that the demo raises itself; its text is the one line that people see."""


class AlreadyUp(DemoError):
    """A demo runs in this checkout."""


class NotUp(DemoError):
    """No demo runs in this checkout."""


class NotReady(DemoError):
    """A part of the demo did not become ready in time."""
