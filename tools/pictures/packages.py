"""Draws the packages and their imports: `python -m tools.pictures.packages`; `make docs` does it, too.

It writes docs/pictures/packages/*.svg from the code itself: a box per package, folder or file, with the first line of
its docstring, and an arrow per import. An arrow that a longer path replaces is left out.
"""

import argparse
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from tools.pictures.import_graph import PACKAGES, between, modules, purpose_of, without_detours
from tools.pictures.layers import Layers
from tools.toolchain.paths import ROOT

FOLDER = ROOT / "docs" / "pictures" / "packages"
BOX_WIDTH, BOX_HEIGHT, ROW_HEIGHT, MARGIN, GAP = 216, 62, 104, 20, 14
LINE = 34  # characters
EXPORTER_FILES = ("app", "scrape", "collectors", "collector", "job", "metric", "series", "metrics_page")
"""The files of the exporter that a reading passes; its others are helpers."""
_STYLE = """
svg { --back: #ffffff; --box: #f3f5f8; --edge: #8a94a3; --text: #1b2330; --dim: #4a5565; --line: #6b7788; }
@media (prefers-color-scheme: dark) {
svg { --back: #12161d; --box: #1e2530; --edge: #6d7a8c; --text: #eef2f7; --dim: #b4bfcd; --line: #8d9aac; } }
text { font-family: system-ui, "DejaVu Sans", sans-serif; fill: var(--dim); font-size: 11px; }
.name { fill: var(--text); font-size: 14px; font-weight: 600; }
.back { fill: var(--back); } .box { fill: var(--box); stroke: var(--edge); }
.line { fill: none; stroke: var(--line); stroke-width: 1.4; } .head { fill: var(--line); }
"""


def pictures() -> Mapping[str, Sequence[str]]:
    """Return what each picture draws."""
    return {
        "repository": PACKAGES,
        "exporter": [*_folders("exporter"), *(f"exporter.{name}" for name in EXPORTER_FILES)],
        "remediator": _folders("remediator"),
    }


def package_pictures() -> Iterator[tuple[Path, str]]:
    """Yield every picture, drawn again."""
    for name, units in pictures().items():
        yield FOLDER / f"{name}.svg", draw(units)


def draw(units: Sequence[str]) -> str:
    """Return the SVG of these packages, folders or modules and the imports between them."""
    layers = Layers(without_detours(between(units)))
    width = max(map(_width, layers.rows)) + 2 * MARGIN
    places = _places(layers.rows, width)
    height = len(layers.rows) * ROW_HEIGHT - (ROW_HEIGHT - BOX_HEIGHT) + 2 * MARGIN
    arrows = [_arrow([places[each] for each in passed]) for passed in layers.arrows.values()]
    boxes = [_box(unit, *places[unit]) for unit in units]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<style>{_STYLE}</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>\n'
        f'<rect class="back" width="{width}" height="{height}" rx="8"/>\n' + "\n".join([*arrows, *boxes]) + "\n</svg>\n"
    )


def _folders(package: str) -> list[str]:
    return sorted(
        name for name, file in modules().items() if file.name == "__init__.py" and name.rpartition(".")[0] == package
    )


def _places(rows: Sequence[Sequence[str]], width: float) -> Mapping[str, tuple[float, float]]:
    """Return the middle of each place: the boxes of a row and the arrows between them share its width."""
    found = {}
    for number, row in enumerate(rows):
        left = gap = (width - _width(row)) / (len(row) + 1)
        for place in row:
            found[place] = (left + _width([place]) / 2, MARGIN + number * ROW_HEIGHT + BOX_HEIGHT / 2)
            left += _width([place]) + gap
    return found


def _width(row: Sequence[str]) -> int:
    return sum(GAP if " " in place else BOX_WIDTH + GAP for place in row)


def _arrow(points: Sequence[tuple[float, float]]) -> str:
    """Return a line from the bottom of the first box to the top of the last, straight beside the boxes between."""
    half = BOX_HEIGHT / 2
    (x, y), *_, (end_x, end_y) = points
    path = f"M{x:.0f} {y + half:.0f}"
    for passed_x, passed_y in points[1:-1]:
        path += _curve(x, y + half, passed_x, passed_y - half) + f"L{passed_x:.0f} {passed_y + half:.0f}"
        x, y = passed_x, passed_y
    return f'<path class="line" marker-end="url(#head)" d="{path}{_curve(x, y + half, end_x, end_y - half)}"/>'


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    middle = (y + to_y) / 2
    return f"C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {to_y:.0f}"


def _box(unit: str, x: float, y: float) -> str:
    left, top = x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2
    name = unit.rpartition(".")[2] + (".py" if modules()[unit].name != "__init__.py" else "/")
    purpose = purpose_of(unit)
    lines = textwrap.wrap(purpose.replace("`", ""), LINE, max_lines=2, placeholder=" …")
    words = "".join(
        f'<text x="{left + 10:.0f}" y="{top + 36 + 15 * number:.0f}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f"<g><title>{escape(unit)}: {escape(purpose)}</title>"
        f'<rect class="box" x="{left:.0f}" y="{top:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
        f'<text class="name" x="{left + 10:.0f}" y="{top + 19:.0f}">{name}</text>{words}</g>'
    )


def main() -> None:
    """Draw every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, text in package_pictures():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.pictures.packages", description=__doc__).parse_args()
    main()
