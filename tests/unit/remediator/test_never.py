"""docs/reference/never.md: what runbookd's own code never sends, starts or lacks a test for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.docs import REFERENCE, ROOT

CODE = ROOT / "remediator"
LISTS_OF_REFUSALS = {"forbidden_commands.py", "sql_tokens.py"}  # they name these commands to refuse them
STATEMENTS = re.compile(
    r"\bFLUSH(ALL|DB)\b|\bSHUTDOWN\b|\bCONFIG\s+SET\b"
    r"|\bVACUUM\b[^;]{0,40}\bFULL\b|\bREINDEX +(?:\(|\w+ (?!CONCURRENTLY))|\bCLUSTER \w"
    r"|\bTRUNCATE +TABLE\b|\bALTER SYSTEM\b|\bDROP (DATABASE|SCHEMA|TABLE|OWNED|ROLE)\b"
)
SHELLS = re.compile(r"(?:^|/)(?:ba|da|z|fi)?sh")
STARTS_A_SHELL = {"create_subprocess_shell", "system", "popen", "getoutput", "getstatusoutput"}
TEST_NAME = re.compile(r"`([\w/]+\.py)::(\w+)`")


def sources(*suffixes: str) -> Iterator[Path]:
    for suffix in suffixes:
        yield from (path for path in CODE.rglob(f"*{suffix}") if path.name not in LISTS_OF_REFUSALS)


def texts_of(path: Path) -> Iterator[str]:
    """Yield the strings of a Python file without docstrings, or a whole statement file without comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield re.sub(r"--.*", "", text)
        return
    tree = ast.parse(text)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def forbidden_in(path: Path) -> list[str]:
    return [match[0] for text in texts_of(path) for match in STATEMENTS.finditer(text)]


def test_no_statement_of_the_remediator_destroys_or_restarts() -> None:
    found = {path.relative_to(CODE): forbidden_in(path) for path in sources(".py", ".sql", ".lua")}
    assert len(found) > 100
    dropping = Path("clients/scratch_database.py")  # drops the database of a drill, which the drill has made
    assert found.pop(dropping) == ["DROP DATABASE"]
    assert {path: statements for path, statements in found.items() if statements} == {}


@pytest.mark.parametrize(
    "text",
    [
        "FLUSHALL",
        "VACUUM (FULL, ANALYZE) t",
        "REINDEX TABLE t",
        "DROP DATABASE x",
        "ALTER SYSTEM SET a = 1",
        "CLUSTER t",
    ],
)
def test_scan_finds_each_kind(text: str, tmp_path: Path) -> None:
    file = tmp_path / "statement.sql"
    file.write_text(text)
    assert len(forbidden_in(file)) == 1


def test_nothing_starts_a_shell() -> None:
    for path in sources(".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                assert name not in STARTS_A_SHELL, f"{path}: {name}"
                assert not any(keyword.arg == "shell" for keyword in node.keywords), path
            if isinstance(node, ast.List | ast.Tuple) and node.elts:
                first = node.elts[0]
                program = first.value if isinstance(first, ast.Constant) else ""
                assert not (isinstance(program, str) and SHELLS.fullmatch(program) and len(node.elts) > 1), path


@pytest.mark.parametrize("page", ["never.md", "undo.md"])
def test_each_test_that_the_page_names_exists(page: str) -> None:
    named = TEST_NAME.findall((REFERENCE / page).read_text(encoding="utf-8"))
    assert len(named) >= 3
    for file, function in named:
        assert re.search(
            rf"^(async )?def {function}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE
        )
