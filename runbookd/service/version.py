"""The product's version, as its package states it."""

from importlib import metadata


def _installed_version() -> str:
    try:
        return metadata.version("runbookd")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "0+checkout"


VERSION = _installed_version()
