"""Every remediation has tests for every case, and the page lists them."""

import ast
import re
from functools import cache

import pytest

from remediator.remediations import REMEDIATIONS
from tools.docs import ROOT
from tools.docs.permanent_fixes_page import permanent_fixes_page
from tools.docs.remediation_cases import CASES, FILE, UNDONE, cases, remediation_cases_page
from tools.docs.undo_page import undo_page


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_remediation_is_listed() -> None:
    assert cases().keys() == REMEDIATIONS.keys(), f"add its tests to {FILE.relative_to(ROOT)}"


@pytest.mark.parametrize("name", sorted(REMEDIATIONS))
def test_remediation_has_a_section_in_the_reference(name: str) -> None:
    page = (ROOT / "docs/reference/remediations.md").read_text(encoding="utf-8")
    heading = re.search(rf"^## .*\b{name}\b", page, re.MULTILINE)
    assert heading is not None, "add what it reads, changes and proves to docs/reference/remediations.md"


@pytest.mark.parametrize("name", sorted(REMEDIATIONS))
def test_remediation_has_an_existing_test_or_a_reason_for_each_case(name: str) -> None:
    exact = {UNDONE} if REMEDIATIONS[name].undo.kind == "exact" else set()
    of_case = cases().get(name, {})
    assert of_case.keys() == {*CASES, *exact}, f"add its tests to {FILE.relative_to(ROOT)}"
    assert isinstance(of_case["done"], list), "name a test in which it repairs something"
    for tests in of_case.values():
        for test in [] if isinstance(tests, str) else tests:
            file, _, function = test.partition("::")
            assert function in functions_of(file), test
        assert tests


def test_page_matches_the_cases() -> None:
    for file, text in (*remediation_cases_page(), *undo_page(), *permanent_fixes_page()):
        assert file.read_text(encoding="utf-8") == text, f"run make docs: {file.name}"
