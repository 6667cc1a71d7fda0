"""The error of a file that cannot be checked."""

from runbookctl.errors import WrongUsage


class UnusableFile(WrongUsage):
    """A file of Prometheus or Alertmanager is missing or has another shape."""
