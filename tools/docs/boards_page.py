"""Generate the panels of docs/reference/boards.md from the committed boards."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grafana.boards import BOARDS
from tools.docs import REFERENCE, ROOT
from tools.docs.page_parts import replace_part, table

PAGE = REFERENCE / "boards.md"


def boards_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with the panels of every board."""
    yield PAGE, replace_part(PAGE, "\n".join(_board(_read(uid)) for uid in BOARDS))


def _read(uid: str) -> Mapping[str, Any]:
    board: Mapping[str, Any] = json.loads((ROOT / "grafana" / "dashboards" / f"{uid}.json").read_text(encoding="utf-8"))
    return board


def _board(board: Mapping[str, Any]) -> str:
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    rows = [[panel["title"], panel["description"], _alerts(panel)] for panel in panels]
    heading = f"## {_name(board)}\n\n{board['description']} Address: `/d/{board['uid']}`.\n"
    return f"{heading}\n{table([['panel', 'meaning, and what to do', 'alerts'], *rows])}"


def anchor(board: Mapping[str, Any]) -> str:
    """Return the anchor of the board's heading."""
    return _name(board).lower().replace(" ", "-")


def _name(board: Mapping[str, Any]) -> str:
    name: str = board["title"].removeprefix("runbookd: ")
    return f"{name[0].upper()}{name[1:]}"


def _alerts(panel: Mapping[str, Any]) -> str:
    return ", ".join(link["title"].removeprefix("Alert ") for link in panel["links"])
