"""`python -m grafana.build` writes the dashboards' JSON from their sources."""

import json
from pathlib import Path

from grafana.boards import BOARDS
from grafana.panels import Json

FOLDER = Path(__file__).parent / "dashboards"


def render_board(board: Json) -> str:
    """The JSON of a board: the same text for the same source, a line for every value, so that changes can be read."""
    return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Writes every board and removes the files of boards that are gone."""
    folder.mkdir(exist_ok=True)
    for stale in set(folder.glob("*.json")) - {folder / f"{uid}.json" for uid in BOARDS}:
        stale.unlink()
    for uid, board in BOARDS.items():
        (folder / f"{uid}.json").write_text(render_board(board))


if __name__ == "__main__":
    write()
