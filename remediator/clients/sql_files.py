"""Named SQL statements in a file beside the code that runs them."""

import re
from collections.abc import Mapping
from importlib.resources import files


def load_statements(package: str, file: str) -> Mapping[str, str]:
    """The statements of a file, each under a line `-- name --`."""
    text = (files(package) / file).read_text(encoding="utf-8")
    _, *parts = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))
