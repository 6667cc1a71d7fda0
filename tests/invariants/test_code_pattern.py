"""Code is matched by its shape within a symbol, and replaced exactly once or not at all."""

import ast

import pytest

from tests.invariants.code_pattern import replace_code

CODE = '''
"""A module."""

import log

LIMITS: dict[str, int] = {"rate": 3, "share": 10}
STATES = frozenset({"planned", "admitted", "ended"})

if True:
    BEHIND_A_CONDITION = 1


class Reader:
    """Reads."""

    size: int = Field(ge=1)

    @retried(times=3)
    async def read(self, path):
        """Read `path`."""
        log.info("a long message", path=path)
        try:
            text = await load(path, retries=2)
        except OSError as error:
            raise ReadError(f"cannot read {path}: {error}") from None
        except ValueError:
            return None
        if self.open and not text:
            return ""
        return text


def write(path, text):
    check(text)
    with opened(path) as file:
        file.write(text)
    flush()
    log.info("written")


def outer():
    def inner():
        return 1

    return 1
'''

# Comments, docstrings, quotes, parentheses, line breaks and positions differ; the code does not.
REFORMATTED = '''
import log
def outer():
    """Wraps `inner`."""
    def inner():
        return (1)
    return 1
def write(path, text):
    # Checked first.
    check(
        text,
    )
    with opened(path) as file: file.write(text)
    flush(); log.info('written')
class Reader:
    size: int = Field(
        ge=1,  # one at least
    )
    @retried(times=3)
    async def read(self, path):
        log.info('another message', path=path)
        try:
            text = (await
                load(path, retries=2))
        except OSError as error:
            raise ReadError("other words") from None
        except ValueError: return None
        if (self.open
            and not text):  # why
            return ''
        return text
if True:
    BEHIND_A_CONDITION = 1
STATES = frozenset({'planned', 'admitted', 'ended'})
LIMITS: dict[str, int] = {
    'rate': 3,  # an hour
    'share': 10,
}
'''


def part(source: str, symbol: str) -> str:
    """Return the code of a top-level symbol without its docstring."""
    [node] = [each for each in ast.walk(ast.parse(source)) if _name(each) == symbol]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None:
        del node.body[0]
    return ast.unparse(node)


def _name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    return getattr(node, "name", None) if isinstance(node, ast.stmt) else None


KINDS = {
    "a statement": ("write", "check(text)", "", "def write(path, text):\n    with"),
    "statements": ("write", "flush()\nlog.info(...)", "flush_all()", "    flush_all()"),
    "the only statement of a block": ("write", "file.write(text)", "", "as file:\n        pass"),
    "a statement with its block": (
        "Reader.read",
        'if self.open and not text:\n    return ""',
        "",
        "return None\n        return text",
    ),
    "an expression": ("outer.inner", "1", "2", "return 2"),
    "a condition": ("Reader.read", "self.open and not text", "False", "if False:"),
    "an operand": ("Reader.read", "not text", "", "if self.open:"),
    "an element": ("STATES", '"admitted"', "", "{'planned', 'ended'}"),
    "elements": ("STATES", '"planned", "admitted"', "*BEFORE", "{*BEFORE, 'ended'}"),
    "a keyword argument": ("Reader.read", "retries=2", "", "load(path)"),
    "one more argument": ("Reader.read", "retries=2", "retries=2, seconds=1", "load(path, retries=2, seconds=1)"),
    "a dict entry": ("LIMITS", '"rate": 3', "", "{'share': 10}"),
    "a dict entry's value": ("LIMITS", '"rate": 3', '"rate": 4', "{'rate': 4, 'share': 10}"),
    "an except clause": ("Reader.read", "except ValueError:\n    return None", "", "from None\n    if"),
    "what an except clause catches": ("Reader.read", "OSError", "KeyError", "except KeyError as error:"),
    "a decorator": ("Reader.read", "retried(times=3)", "", "async def read"),
    "a default": ("Reader.size", "Field(ge=1)", "", "size: int"),
    "a constant": ("STATES", "STATES = ...", "STATES = ()", "STATES = ()"),
}


@pytest.mark.parametrize("source", [CODE, REFORMATTED], ids=["as written", "reformatted"])
@pytest.mark.parametrize(("symbol", "old", "new", "expected"), KINDS.values(), ids=KINDS)
def test_each_kind_of_code_is_replaced(source: str, symbol: str, old: str, new: str, expected: str) -> None:
    replaced = replace_code(source, symbol, old, new)
    assert _squeezed(expected) in _squeezed(part(replaced, symbol.split(".")[-1]))


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def test_code_around_the_match_is_unchanged() -> None:
    replaced = replace_code(CODE, "write", "check(text)", "verify(text)")
    assert replaced == ast.unparse(ast.parse(CODE)).replace("check(text)", "verify(text)")


def test_match_outside_the_symbol_is_not_found() -> None:
    with pytest.raises(ValueError, match=r"^0 matches in 'outer', not one: 'check\(text\)'$"):
        replace_code(CODE, "outer", "check(text)", "")


def test_two_matches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^2 matches in 'outer', not one: 'return 1'$"):
        replace_code(CODE, "outer", "return 1", "return 2")


def test_an_unknown_symbol_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^no symbol 'Reader\.write'$"):
        replace_code(CODE, "Reader.write", "check(text)", "")


def test_invalid_python_is_refused_as_a_pattern() -> None:
    with pytest.raises(ValueError, match=r"^not a pattern: 'if text'$"):
        replace_code(CODE, "write", "if text", "")


def test_two_expressions_cannot_replace_one() -> None:
    with pytest.raises(ValueError, match=r"^only one expression fits there, not 2$"):
        replace_code(CODE, "outer.inner", "1", "1, 2")


def test_an_empty_symbol_is_the_whole_module() -> None:
    assert "import logging" in replace_code(CODE, "", "import log", "import logging")


def test_symbol_inside_a_condition_is_found() -> None:
    assert "BEHIND_A_CONDITION = 2" in replace_code(CODE, "BEHIND_A_CONDITION", "1", "2")


def test_only_entry_of_a_dict_can_be_removed() -> None:
    assert replace_code('A = {"b": 1}', "A", '"b": 1', "") == "A = {}"


WILDCARDS = {
    "an expression": ("return ...", "return f(...)", "return f(g(1, *b, c=2))"),
    "all arguments": ("g(...)", "h", "return h"),
    "the other arguments": ("g(..., c=2)", "g(...)", "return g(1, *b)"),
    "arguments are put back": ("g(1, ...)", "g(0, ...)", "return g(0, *b, c=2)"),
    "statements": ("first()\n...\nlast()", "...", "def f():\n    with a:\n        middle()\n    return"),
    "statements are put back": ("with a:\n    ...", "if b:\n    ...", "if b:\n        middle()"),
    "no statement": ("last()\n...\nreturn g(...)", "return None", "return None"),
}
BODY = """
def f():
    first()
    with a:
        middle()
    last()
    return g(1, *b, c=2)
"""


@pytest.mark.parametrize(("old", "new", "expected"), WILDCARDS.values(), ids=WILDCARDS)
def test_ellipsis_is_replaced_by_its_match(old: str, new: str, expected: str) -> None:
    assert expected in replace_code(BODY, "f", old, new)


def test_each_ellipsis_keeps_its_own_match() -> None:
    replaced = replace_code("A = {1: f(a, b), 2: {c, d}}", "A", "1: f(a, ...), 2: {c, ...}", "1: g(...), 2: {...}")
    assert replaced == "A = {1: g(b), 2: {d}}"


def test_additional_ellipsis_in_the_replacement_is_code() -> None:
    assert replace_code("A = tuple", "A", "tuple", "tuple[int, ...]") == "A = tuple[int, ...]"


def test_ambiguous_pattern_counts_as_several_matches() -> None:
    with pytest.raises(ValueError, match=r"^2 matches in 'f', not one"):
        replace_code(BODY, "f", "last()\n...", "")
