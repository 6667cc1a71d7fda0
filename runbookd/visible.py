"""Whether this user sees a file or a folder at a path.

Before Python 3.14, the methods of Path raise where the user may not pass a folder above it. Here that is not seen.
"""

import os
from pathlib import Path


def is_visible_file(path: Path) -> bool:
    """Return whether this user sees a file at the path."""
    return os.path.isfile(path)  # noqa: PTH113


def is_visible_folder(path: Path) -> bool:
    """Return whether this user sees a folder at the path."""
    return os.path.isdir(path)  # noqa: PTH112
