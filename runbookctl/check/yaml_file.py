"""Reads a YAML file of another program, with the line of each entry of its lists."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from runbookctl.errors import WrongUsage
from runbookd.text_files import read_text_file
from runbookd.yaml_text import FastLoader, load_yaml


class _Loader(FastLoader):  # type: ignore[misc]
    """Adds the line to each map, under a key that no program uses."""


LINE = "\0line"
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def _with_line(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return {**loader.construct_mapping(node, deep=True), LINE: node.start_mark.line + 1}


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _with_line)


def read_map(file: Path) -> Mapping[str, Any]:
    """Return the map in `file`.

    Raises:
        WrongUsage: it cannot be read; the message shows none of its lines, which may hold a secret.
    """
    try:
        document = load_yaml(read_text_file(file), _Loader)
    except OSError as error:
        raise WrongUsage(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUsage(f"{file} is not UTF-8 text; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WrongUsage(f"{file}:{line} is not valid YAML; correct it") from None
    except yaml.YAMLError:
        raise WrongUsage(f"{file} is not valid YAML; correct it") from None
    if not isinstance(document, dict):
        raise WrongUsage(f"{file} is not a configuration: it must be a map of keys")
    return document


def maps_in(value: object) -> list[Mapping[str, Any]]:
    """Return the maps in a list; anything else is left out, because its own program refuses it."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def texts_in(value: object) -> list[str]:
    """Return the texts in a list."""
    return [str(each) for each in value] if isinstance(value, list) else []


def duration(value: object) -> timedelta:
    """Return a duration such as `1m30s`; what is none counts as zero."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", str(value))
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in parts))
