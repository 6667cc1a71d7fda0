"""Draws the demo's last loop: `make demo ONCE=1`, then `python -m tools.pictures.timeline`.

It writes docs/pictures/timeline.svg with the numbers of .demo/report.json; nothing is drawn that was not measured.
"""

import argparse
import io
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.table import Table
from rich.terminal_theme import SVG_EXPORT_THEME

from tools.toolchain.paths import ROOT

REPORT = ROOT / ".demo" / "report.json"
PICTURE = ROOT / "docs" / "pictures" / "timeline.svg"
WIDTH = 104  # columns
_ENDS = {"succeeded": "[green]fixed, and verified[/]", "refused": "[yellow]refused: a person was called[/]"}
# The viewer's own fonts: a picture in the documentation loads nothing from elsewhere.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main() -> None:
    """Draw the picture."""
    if not REPORT.exists():
        sys.exit(f"{REPORT.relative_to(ROOT)} is missing; run make demo ONCE=1 first")
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    if not report["ok"]:
        sys.exit("the last loop did not end well; run make demo ONCE=1 again")
    PICTURE.write_text(picture_of(report), encoding="utf-8")


def picture_of(report: Mapping[str, Any]) -> str:
    """Return the SVG of a report: a row per step, a column per incident, in seconds."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(_table(list(report["incidents"].values())), justify="center")
    return console.export_svg(title="make demo ONCE=1", theme=SVG_EXPORT_THEME, code_format=_FORMAT, unique_id="demo")


def _table(incidents: list[Mapping[str, Any]]) -> Table:
    table = Table("seconds after", *(each["name"] for each in incidents))
    for step in dict.fromkeys(step for each in incidents for step in each["steps"]):
        table.add_row(step, *(_cell(each["steps"].get(step)) for each in incidents))
    table.add_section()
    table.add_row("the end", *(_ENDS[each["outcome"]] for each in incidents))
    return table


def _cell(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.pictures.timeline", description=__doc__).parse_args()
    main()
