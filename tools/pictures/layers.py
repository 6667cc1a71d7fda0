"""Places the boxes of a picture in rows: each arrow leads down, and arrows between distant rows pass between boxes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from tools.pictures.import_graph import Graph

_SWEEPS = 8


@dataclass(frozen=True)
class Layers:
    """The rows of a graph from top to bottom. A place is a box, or where an arrow passes a row, as (from, to, row)."""

    graph: Graph

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """The row of each box: directly above the highest that it imports."""
        height: dict[str, int] = {}

        def measure(unit: str) -> int:
            if unit not in height:
                height[unit] = 1 + max((measure(other) for other in self.graph[unit]), default=-1)
            return height[unit]

        top = max(measure(unit) for unit in self.graph)
        return {unit: top - height[unit] for unit in self.graph}

    @cached_property
    def arrows(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """The places that each arrow passes, with both ends."""
        found = {}
        for one in sorted(self.graph):
            for two in sorted(self.graph[one]):
                between = range(self.row_of[one] + 1, self.row_of[two])
                found[one, two] = (one, *(f"{one} {two} {row}" for row in between), two)
        return found

    @cached_property
    def rows(self) -> list[list[str]]:
        """The places of each row from left to right, each near its neighbours in the rows beside it."""
        rows: list[list[str]] = [[] for _ in range(1 + max(self.row_of.values()))]
        for unit in sorted(self.graph):
            rows[self.row_of[unit]].append(unit)
        for (one, _), places in self.arrows.items():
            for number, place in enumerate(places[1:-1]):
                rows[self.row_of[one] + 1 + number].append(place)
        for sweep in range(_SWEEPS):
            self._sort(rows, downwards=sweep % 2 == 0)
        return rows

    def _sort(self, rows: list[list[str]], *, downwards: bool) -> None:
        """Sort each row by the middle of its neighbours in the row before."""
        order = range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1)
        for row in order:
            beside = rows[row - 1 if downwards else row + 1]
            at = {place: (number + 0.5) / len(beside) for number, place in enumerate(beside)}
            own = {place: (number + 0.5) / len(rows[row]) for number, place in enumerate(rows[row])}
            rows[row].sort(key=lambda place, at=at, own=own: self._middle(place, at, own[place]))  # type: ignore[misc]

    def _middle(self, place: str, at: Mapping[str, float], own: float) -> float:
        near = [at[other] for other in self._neighbours[place] if other in at]
        return sum(near) / len(near) if near else own

    @cached_property
    def _neighbours(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for places in self.arrows.values():
            for one, two in pairwise(places):
                found.setdefault(one, []).append(two)
                found.setdefault(two, []).append(one)
        return {unit: found.get(unit, []) for unit in {*self.graph, *found}}
