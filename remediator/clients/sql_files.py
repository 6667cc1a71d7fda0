"""Loads named SQL statements from a file beside the code that runs them."""

import re
from collections.abc import Mapping
from importlib.resources import files


def load_statements(package: str, file: str) -> Mapping[str, str]:
    """Return the statements of a file by name; a line `-- name --` precedes each."""
    text = (files(package) / file).read_text(encoding="utf-8")
    _, *parts = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))
