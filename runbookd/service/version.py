"""The product's version, from its package metadata."""

from importlib import metadata


def _installed_version() -> str:
    try:
        return metadata.version("runbookd")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "0+checkout"


VERSION = _installed_version()
