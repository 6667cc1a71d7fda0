"""Reads a YAML file of Prometheus or Alertmanager."""

from pathlib import Path
from typing import Any

import yaml

from runbookctl.checks.errors import UnusableFile


def read_mapping(file: Path) -> dict[str, Any]:
    """Return the file's top level.

    Raises:
        UnusableFile: the file cannot be read, or is not a YAML mapping.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnusableFile(f"{file}: cannot read it: {error.strerror}; correct its path or permissions") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place is not None else ""
        raise UnusableFile(f"{file}{line}: not valid YAML; correct it") from None
    if not isinstance(content, dict):
        raise UnusableFile(f"{file}: not a mapping at its top level; give the file that the server itself reads")
    return content
