"""Finds what is wrong with a drawn board: errors, and empty panels without a reason."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from tools.pictures.drawing import Picture
from tools.toolchain.paths import ROOT

_LIST = ROOT / "grafana" / "empty_panels.yml"


def load_reasons(file: Path = _LIST) -> Mapping[str, str]:
    """Return why panels may be empty, by `uid/title`."""
    reasons: Mapping[str, str] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return reasons


def problems(uid: str, picture: Picture, reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield one line per error of the page, and per panel with an error or without a row that no reason excuses."""
    for error in picture.errors:
        yield f"{uid}: {error}"
    for panel in picture.outcomes:
        name = f"{uid}/{panel.title}"
        if panel.error:
            yield f"{name}: {panel.error}"
        elif panel.rows == 0 and panel.type != "text" and name not in reasons:
            yield f"{name} is empty: correct its query, or write its reason into {_LIST.relative_to(ROOT)}"
