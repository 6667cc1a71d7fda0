"""Grafana's own code knows every unit, matcher, reducer, transformation and colour of the boards.

`make pictures` writes grafana_vocabulary.json from @grafana/data, which is too large to fetch for these tests.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.boards import FOLDER, load_boards

VOCABULARY: dict[str, list[str]] = json.loads((Path(__file__).parent / "grafana_vocabulary.json").read_text())
OWN_UNITS = ("suffix:", "prefix:", "currency:", "time:")
"""Units that Grafana makes from the text behind the colon."""


@pytest.mark.parametrize("board", load_boards(), ids=lambda board: board["uid"])
def test_grafana_knows_every_word_of_the_board(board: dict[str, Any]) -> None:
    assert unknown_words(board) == []


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("unit", "secs", "units"),
        ("calcs", ["newest"], "reducers"),
        ("color", "greeen", "colors"),
        ("matcher", {"id": "byTitle"}, "matchers"),
        ("transformations", [{"id": "configFromData"}], "transformations"),
        ("color", {"mode": "rainbow"}, "color_modes"),
    ],
)
def test_unknown_word_is_found_wherever_it_stands(key: str, value: Any, kind: str) -> None:
    assert [found[0] for found in unknown_words({"panels": [{"deep": [{key: value}]}]})] == [kind]


def test_every_reason_for_an_empty_panel_names_a_panel() -> None:
    reasons = yaml.safe_load((FOLDER.parent / "empty_panels.yml").read_text())
    titles = {f"{board['uid']}/{panel['title']}" for board in load_boards() for panel in board["panels"]}
    assert set(reasons) <= titles
    assert all(reason.endswith(".") for reason in reasons.values())


def unknown_words(board: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the kind and word of each word that is not in the vocabulary."""
    words = [(kind, word) for panel in board["panels"] for kind, word in _words(panel)]
    kinds = [("panels", panel["type"]) for panel in board["panels"] if "type" in panel]
    return [(kind, word) for kind, word in [*words, *kinds] if word not in VOCABULARY[kind]]


def _words(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the words of a part of a board, and of all parts below it."""
    if isinstance(node, list):
        for item in node:
            yield from _words(item)
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _words_of_key(key, value)
            yield from _words(value)
        if node.get("id") == "unit":  # an override
            yield from _words_of_key("unit", node["value"])


def _words_of_key(key: str, value: Any) -> Iterator[tuple[str, str]]:
    match key, value:
        case "unit", str() if not value.startswith(OWN_UNITS):
            yield "units", value
        case "calcs" | "reducers", list():
            yield from (("reducers", word) for word in value)
        case "color" | "fixedColor" | "iconColor", str() if not value.startswith(("#", "transparent", "text")):
            yield "colors", value
        case "color", {"mode": str(mode)}:
            yield "color_modes", mode
        case "matcher", {"id": str(matcher)}:
            yield "matchers", matcher
        case "transformations", list():
            yield from (("transformations", item["id"]) for item in value)
