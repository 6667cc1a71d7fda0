"""Replace Python code that is matched by its shape.

A pattern is one or more statements (`return None`), arguments or elements (`facts.active`, `unique=True`), dict
entries (`"rate": rate`) or except clauses. Syntax trees are compared, so that comments, docstrings, quotes, line
breaks and the position in the file may change. `...` matches any expression, and in a list of arguments, elements or
statements any number of them. In the replacement, each `...` in turn stands for what the pattern's `...` matched.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from threading import Lock
from typing import Any

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# Python 3.11 counts the depth of all threads that parse together, and then refuses a file as too deep.
_ONE_PARSER = Lock()
_NOT_COMPARED = ("ctx", "kind", "type_comment")


def replace_code(source: str, symbol: str, old: str, new: str) -> str:
    """Return `source` with the code in `symbol` that matches `old` replaced by `new`, without comments.

    `symbol` is `function`, `Class.method`, `function.nested` or `CONSTANT`; a function's decorators belong to it. An
    empty one is the whole module. Raises ValueError unless exactly one place matches.
    """
    with _ONE_PARSER:
        return _replace(source, symbol, old, new)


def _replace(source: str, symbol: str, old: str, new: str) -> str:
    tree = ast.parse(source)
    roots = list(_named(tree, symbol.split(".") if symbol else []))
    if not roots:
        raise ValueError(f"no symbol {symbol!r}")
    places = list(_places(tree, {id(node) for root in roots for node in ast.walk(root)}, old))
    if len(places) != 1:
        raise ValueError(f"{len(places)} matches in {symbol!r}, not one: {old!r}")
    places[0].replace(new)
    return ast.unparse(tree)


def _named(parent: ast.AST, names: Sequence[str]) -> Iterator[ast.AST]:
    if not names:
        yield parent
        return
    for child in ast.iter_child_nodes(parent):
        if _name(child) == names[0]:
            yield from _named(child, names[1:])
        elif not isinstance(child, _DEFINITIONS):
            yield from _named(child, names)


def _name(node: ast.AST) -> str | None:
    match node:
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
            return name
        case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
            return name
    return None


# The ways to read a pattern. Everything but statements is wrapped in code first.


def _statements(text: str) -> list[Any]:
    return list(ast.parse(text).body)


def _arguments(text: str) -> list[Any]:
    call: Any = ast.parse(f"_({text}\n)", mode="eval").body
    return [*call.args, *call.keywords]


def _entries(text: str) -> list[Any]:
    braces = ast.parse(f"{{{text}\n}}", mode="eval").body
    return list(zip(braces.keys, braces.values, strict=True)) if isinstance(braces, ast.Dict) else []


def _except_clauses(text: str) -> list[Any]:
    clauses: Any = ast.parse(f"try:\n    pass\n{text}\nfinally:\n    pass").body[0]
    return list(clauses.handlers)


_Read = Callable[[str], list[Any]]
_READINGS: tuple[_Read, ...] = (_statements, _arguments, _entries, _except_clauses)


@dataclass(frozen=True)
class _Place:
    """A match: consecutive nodes, and what surrounds them."""

    read: _Read
    before: list[Any]
    after: list[Any]
    wildcards: list[list[Any]]
    put: Callable[[list[Any]], None]

    def replace(self, new: str) -> None:
        self.put([*self.before, *_filled(self.read(new), iter(self.wildcards)), *self.after])


def _places(tree: ast.AST, inside: set[int], old: str) -> Iterator[_Place]:
    patterns = [(read, pattern) for read in _READINGS if (pattern := _read_or_nothing(read, old))]
    if not patterns:
        raise ValueError(f"not a pattern: {old!r}")
    for node in ast.walk(tree):
        for nodes, put in _lists(node):
            for start, end in _ranges(nodes, inside):
                for read, pattern in patterns:
                    if (wildcards := _match_list(pattern, nodes[start:end])) is not None:
                        yield _Place(read, nodes[:start], nodes[end:], wildcards, put)


def _read_or_nothing(read: _Read, text: str) -> list[Any]:
    try:
        return read(text)
    except SyntaxError:
        return []


def _lists(node: ast.AST) -> Iterator[tuple[list[Any], Callable[[list[Any]], None]]]:
    """Yield the children of `node`, list by list, each with the function that replaces the list."""
    if isinstance(node, ast.Dict):
        yield list(zip(node.keys, node.values, strict=True)), partial(_put_entries, node)
    for field, value in ast.iter_fields(node):
        if isinstance(value, list):
            yield value, partial(_put_list, node, field)
        elif isinstance(value, ast.AST) and not isinstance(node, ast.Expr):  # the statement around it already matches
            yield [value], partial(_put_one, node, field)


def _put_entries(node: ast.Dict, entries: list[Any]) -> None:
    node.keys, node.values = [key for key, _ in entries], [value for _, value in entries]


def _put_list(node: ast.AST, field: str, nodes: list[Any]) -> None:
    setattr(node, field, nodes or ([ast.Pass()] if field == "body" else []))


def _put_one(node: ast.AST, field: str, nodes: list[Any]) -> None:
    if len(nodes) > 1:
        raise ValueError(f"only one expression fits there, not {len(nodes)}")
    setattr(node, field, nodes[0] if nodes else None)


def _ranges(nodes: list[Any], inside: set[int]) -> Iterator[tuple[int, int]]:
    """Yield each start and end of consecutive nodes that are all in the symbol."""
    for start in range(len(nodes)):
        for end in range(start + 1, len(nodes) + 1):
            last = nodes[end - 1]
            if id(last[-1] if isinstance(last, tuple) else last) not in inside:
                break
            yield start, end


def _match(pattern: Any, node: Any) -> list[list[Any]] | None:
    """Return what each `...` of `pattern` stands for, or None if `node` does not match."""
    if _is_wildcard(pattern):
        return [[node]] if isinstance(node, ast.expr) else None
    if type(pattern) is not type(node):
        return None
    if isinstance(pattern, list):
        return _match_list(pattern, node)
    if isinstance(pattern, ast.AST | tuple):
        return _match_each(_children(pattern), _children(node))
    return [] if pattern == node else None


def _match_list(patterns: list[Any], nodes: list[Any]) -> list[list[Any]] | None:
    if not patterns:
        return None if nodes else []
    first, *others = patterns
    if _is_wildcard(first):
        rests = ((count, _match_list(others, nodes[count:])) for count in range(len(nodes) + 1))
        return next(([nodes[:count], *rest] for count, rest in rests if rest is not None), None)
    if not nodes or (matches := _match(first, nodes[0])) is None or (rest := _match_list(others, nodes[1:])) is None:
        return None
    return [*matches, *rest]


def _match_each(patterns: Sequence[Any], nodes: Sequence[Any]) -> list[list[Any]] | None:
    matches = [_match(pattern, node) for pattern, node in zip(patterns, nodes, strict=True)]
    return None if None in matches else list(chain.from_iterable(each or [] for each in matches))


def _children(node: Any) -> Sequence[Any]:
    if isinstance(node, tuple):
        return node
    if isinstance(node, ast.Call):  # one list, so that `log.info(...)` matches keyword arguments too
        return node.func, [*node.args, *node.keywords]
    return [getattr(node, field) for field in node._fields if field not in _NOT_COMPARED]


def _is_wildcard(node: Any) -> bool:
    value = node.value if isinstance(node, ast.Expr) else node
    return isinstance(value, ast.Constant) and value.value is ...


def _filled(new: Any, wildcards: Iterator[list[Any]]) -> Any:
    """Return `new` with each `...` replaced by its match; additional `...` are code."""
    if isinstance(new, list):
        parts = (next(wildcards, [part]) if _is_wildcard(part) else [_filled(part, wildcards)] for part in new)
        return list(chain.from_iterable(parts))
    if isinstance(new, tuple):
        return tuple(_filled(part, wildcards) for part in new)
    if _is_wildcard(new):
        [only] = next(wildcards, [new])
        return only
    if isinstance(new, ast.AST):
        for field, value in ast.iter_fields(new):
            setattr(new, field, _filled(value, wildcards))
    return new
