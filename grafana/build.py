"""`python -m grafana.build` writes the dashboards' JSON and the alerts' links to them from their sources."""

import argparse
import json
from pathlib import Path

from grafana import links
from grafana.boards import BOARDS
from grafana.panels import Json

FOLDER = Path(__file__).parent / "dashboards"


def render_board(board: Json) -> str:
    """Return the JSON of a board, deterministic and with one line per value, so that diffs are readable."""
    return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Write every board and remove the files of boards that no longer exist."""
    folder.mkdir(exist_ok=True)
    for stale in set(folder.glob("*.json")) - {folder / f"{uid}.json" for uid in BOARDS}:
        stale.unlink()
    for uid, board in BOARDS.items():
        (folder / f"{uid}.json").write_text(render_board(board))


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m grafana.build", description=__doc__).parse_args()
    write()
    links.FILE.write_text(links.rules_text(), encoding="utf-8")
