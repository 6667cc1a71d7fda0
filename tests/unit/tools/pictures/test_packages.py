"""The pictures of the packages are those of the code, and their arrows lead down."""

import re
from itertools import pairwise

from tools.pictures.import_graph import without_detours
from tools.pictures.layers import Layers
from tools.pictures.packages import FOLDER, package_pictures, pictures


def test_pictures_are_those_of_the_code() -> None:
    drawn = dict(package_pictures())
    assert {file.name: file.read_text(encoding="utf-8") == text for file, text in drawn.items()} == {
        file.name: True for file in FOLDER.iterdir()
    }, "run make docs and commit docs/pictures/packages"


def test_picture_has_a_box_for_each_part() -> None:
    for file, text in package_pictures():
        named = re.findall(r"<title>([\w.]+):", text)
        assert named == list(pictures()[file.stem])


def test_arrow_that_a_longer_path_replaces_is_left_out() -> None:
    graph = {"app": {"scrape", "metric"}, "scrape": {"metric"}, "metric": set()}
    assert without_detours(graph) == {"app": {"scrape"}, "scrape": {"metric"}, "metric": set()}


def test_arrow_between_distant_rows_passes_each_row_between() -> None:
    layers = Layers({"a": {"b", "d"}, "b": {"c"}, "c": {"e"}, "d": {"e"}, "e": set()})
    rows = {place: number for number, row in enumerate(layers.rows) for place in row}
    assert layers.row_of == {"a": 0, "b": 1, "c": 2, "d": 2, "e": 3}
    assert all(rows[two] == rows[one] + 1 for places in layers.arrows.values() for one, two in pairwise(places))
