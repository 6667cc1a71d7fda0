"""Draws the committed boards with the demo's data into docs/pictures/boards, when all is well and during an incident.

Fails if a page reports an error, or if a panel is empty without a reason in grafana/empty_panels.yml.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.pictures.demo import (
    SCRAPE_SECONDS,
    RunningDemo,
    measured_host,
    reach_incident,
    reach_well,
    start_demo,
    stop_demo,
)
from tools.pictures.drawing import Easel, Job, easel, load_board
from tools.pictures.files import write_picture
from tools.pictures.judge import load_reasons, problems
from tools.pictures.renderer import build_page
from tools.toolchain.errors import SetupError
from tools.toolchain.paths import ROOT

_BOARDS = ROOT / "grafana" / "dashboards"
_VOCABULARY = ROOT / "tests" / "dashboards" / "grafana_vocabulary.json"
_MOMENTS = {"well": reach_well, "incident": reach_incident}
_MAX_RANGE_SECONDS = 15 * 60
_LIGHT = ("stack", "morning")
"""Boards of the README, which GitHub shows in the reader's theme."""


def main() -> int:
    """Draw the boards; return 0 if no panel has a problem."""
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description=__doc__)
    parser.add_argument("boards", nargs="*", metavar="UID", help="boards to draw; default: all")
    parser.add_argument("--moment", choices=[*_MOMENTS], action="append", help="default: both, one after the other")
    arguments = parser.parse_args()
    try:
        files = _files(arguments.boards)
        build_page()
        with _demo() as demo, measured_host():
            found = asyncio.run(_draw_all(demo, files, arguments.moment or [*_MOMENTS]))
    except (SetupError, OSError) as error:
        found = [str(error)]
    for problem in found:
        print(f"pictures: {problem}", file=sys.stderr)
    return 1 if found else 0


@contextmanager
def _demo() -> Iterator[RunningDemo]:
    demo = start_demo()
    try:
        yield demo
    finally:
        stop_demo(demo)


def _files(uids: Sequence[str]) -> list[Path]:
    files = {file.stem: file for file in sorted(_BOARDS.glob("*.json"))}
    if unknown := set(uids) - files.keys():
        raise SetupError(f"unknown board {', '.join(sorted(unknown))}", str(_BOARDS), f"choose from {', '.join(files)}")
    return [file for uid, file in files.items() if not uids or uid in uids]


async def _draw_all(demo: RunningDemo, files: Sequence[Path], moments: Sequence[str]) -> list[str]:
    found: list[str] = []
    async with easel() as page:
        _VOCABULARY.write_text(json.dumps(await page.vocabulary(), indent=1) + "\n", encoding="utf-8")
        for moment in moments:
            await _MOMENTS[moment](demo)
            now = time.time()  # all boards show one moment, however long their drawing takes
            for file in files:
                found += await _draw(page, demo, file, moment, now)
    return found


async def _draw(page: Easel, demo: RunningDemo, file: Path, moment: str, end: float) -> list[str]:
    """Draw one board in the themes that the documentation needs, and return its problems."""
    board = load_board(file)
    start = max(demo.started(), end - _MAX_RANGE_SECONDS)
    found: list[str] = []
    for theme in ("dark", "light") if file.stem in _LIGHT else ("dark",):
        picture = await page.draw(Job(board, demo.prometheus, start, end, SCRAPE_SECONDS, theme))
        found += [f"{moment}: {problem}" for problem in problems(file.stem, picture, load_reasons())]
        name = f"{file.stem}-{moment}" + ("" if theme == "dark" else f"-{theme}")
        print(f"  {name}: {write_picture(name, picture.png) / 1000:.0f} kB", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
