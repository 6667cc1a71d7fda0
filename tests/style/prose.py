"""The prose of the project: docstrings, comments and texts of Python, and every line of Markdown and YAML."""

import ast
import io
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Passage:
    """A docstring, a comment, a string or a line, and the place where it stands."""

    place: str
    text: str


def passages() -> Iterator[Passage]:
    """Yield every passage of the project's own files outside tests/."""
    for file in _files():
        text = (ROOT / file).read_text(encoding="utf-8")
        yield from of_python(file, text) if file.endswith(".py") else of_lines(file, text)


def of_python(file: str, text: str) -> Iterator[Passage]:
    """Yield the strings of a Python file, f-strings with `{}` for each value, and its comments."""
    for node, value in _strings(ast.parse(text)):
        yield Passage(f"{file}:{node.lineno}", value)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield Passage(f"{file}:{token.start[0]}", token.string.lstrip("# "))


def of_lines(file: str, text: str) -> Iterator[Passage]:
    """Yield the lines of a file, without the signs that begin a list item, a heading, a comment or a quote."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield Passage(f"{file}:{number}", line.lstrip(" \t#>*|-"))


def _strings(tree: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node, node.value
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)


def _files() -> list[str]:
    """Ask Git where it is at hand: what it ignores was fetched or generated."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py", "*.md", "*.yml"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = [file for file in listing.stdout.splitlines() if (ROOT / file).is_file()]
    return [file for file in files if not file.startswith("tests/")]
