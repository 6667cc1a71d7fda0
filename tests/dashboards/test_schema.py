"""Grafana's own model of a dashboard knows every key of the boards: what it does not know, it would drop."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.dashboards.boards import load_boards

NOT_KEPT = {"id: None"}
"""Grafana gives a provisioned board its number itself."""


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    """Let the model know the panels and the queries of Prometheus."""
    register_default_plugins()


@pytest.mark.parametrize("board", load_boards(), ids=lambda board: board["uid"])
def test_model_of_grafana_keeps_every_key_and_value(board: dict[str, Any]) -> None:
    assert set(_lost(board, _through_the_model(board))) == NOT_KEPT


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("panels", 1), "fieldConfg"),
        (("panels", 1, "targets", 0), "exprr"),
        (("panels", 1, "fieldConfig", "defaults"), "noValu"),
        (("templating", "list", 1), "includeEverything"),
        (("annotations", "list", 0), "useValueForTimes"),
    ],
)
def test_a_misspelt_key_is_noticed(place: tuple[str | int, ...], wrong: str) -> None:
    board = copy.deepcopy(load_boards()[0])
    part: Any = board
    for step in place:
        part = part[step]
    part[wrong] = "x"
    assert any(wrong in lost for lost in _lost(board, _through_the_model(board)))


def _through_the_model(board: dict[str, Any]) -> Any:
    return json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(board))))


def _lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value that the second lacks or changed."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from _lost(value, after.get(key, _ABSENT), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield f"{path}: {before}"


_ABSENT = object()
