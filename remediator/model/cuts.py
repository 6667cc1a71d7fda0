"""Cuts values that a sender or a server may make as large as it likes, and counts the cuts."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

MAX_BOUND = 800  # characters of the sentence of one bound
MAX_VALUE = 16_000  # characters of one value of an evidence, as JSON
MAX_DETAIL = 20_000  # characters of an item's outcome, which may be a page of diagnostics
PARTS = ("evidence", "detail")
CUTS: Counter[str] = Counter(dict.fromkeys(PARTS, 0))
"""The cuts since the start, by part; the metrics page shows them."""


def cut_text(text: str, limit: int, part: str) -> str:
    """Return `text` with at most `limit` characters."""
    if len(text) <= limit:
        return text
    CUTS[part] += 1
    return f"{text[:limit]}… ({len(text)} characters)"


def cut_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an evidence whose values have at most MAX_VALUE characters each."""
    return {name: _cut_value(value) for name, value in values.items()}


def _cut_value(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= MAX_VALUE else cut_text(text, MAX_VALUE, "evidence")
