"""The real imports between the project's own modules, read from the source."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from tools.toolchain.paths import ROOT

PACKAGES = (
    *("runbookd", "exporter", "remediator", "runbookctl"),
    *("grafana", "tools", "demo", "soak", "chaos", "benchmarks"),
)
"""The product first; the last six are not installed with it."""
Graph = Mapping[str, set[str]]


@cache
def modules() -> Mapping[str, Path]:
    """Return every module of the packages by its dotted name."""
    every = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    files = [file for file in every if "node_modules" not in file.parts]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@cache
def imports() -> Graph:
    """Return the modules that each module imports, in functions and for type checkers as well."""
    return {name: set(_imports_of(file)) - {name} for name, file in modules().items()}


def between(units: Sequence[str]) -> Graph:
    """Return which of `units` (packages, folders or modules by dotted name) import which others of them."""
    graph: dict[str, set[str]] = {unit: set() for unit in units}
    for name, imported in imports().items():
        if (one := _unit_of(name, units)) is not None:
            graph[one] |= {two for other in imported if (two := _unit_of(other, units)) not in (None, one)}
    return graph


def without_detours(graph: Graph) -> Graph:
    """Return the graph without each arrow that a longer path between the same two replaces."""
    return {
        one: {two for two in others if not any(two in reached(graph, other) for other in others - {two})}
        for one, others in graph.items()
    }


def reached(graph: Graph, start: str) -> set[str]:
    """Return all that `start` imports, directly or through others."""
    found: set[str] = set()
    unread = set(graph[start])
    while unread:
        found |= unread
        unread = {other for each in unread for other in graph[each]} - found
    return found


def purpose_of(unit: str) -> str:
    """Return the first line of the docstring of a package, folder or module."""
    docstring = ast.get_docstring(ast.parse(modules()[unit].read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def _unit_of(name: str, units: Sequence[str]) -> str | None:
    return next((unit for unit in units if name == unit or name.startswith(f"{unit}.")), None)


def _imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{file}: a relative import; write the whole name of the module")
            yield from (_imported(str(node.module), alias.name) for alias in node.names)


def _imported(module: str, name: str) -> str:
    """`from a import b` is the module a.b where there is one, else something of a."""
    return f"{module}.{name}" if f"{module}.{name}" in modules() else module
