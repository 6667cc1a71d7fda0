"""Every invariant and bound has guards that match the code; two of them are removed here."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from remediator.bounds.bounds import DEFERRALS, REFUSALS
from tests.invariants.guards import FOLDER, ROOT, Guard, invariants
from tests.invariants.mutants import answers, guards_of
from tools.docs.invariants_page import invariants_page

GUARDS = guards_of(invariants())
# `make mutants` removes all of them; the tests of these two are quick.
BOUNDS = "tests/unit/remediator/bounds/test_bounds.py::test_exceeded_bound_stops_the_run"
DELIVERY = "tests/unit/remediator/model/test_delivery.py::test_malformed_body_is_refused_with_one_line"


def test_every_invariant_has_guards() -> None:
    numbers = [each.number for each in invariants()]
    assert numbers == sorted(set(numbers))
    assert numbers[:35] == list(range(1, 36))
    assert {int(file.stem) for file in FOLDER.glob("*.yml")} == {each.number for each in invariants()}


def test_every_bound_is_a_guard() -> None:
    named = {guard.bound: guard for _, guard in GUARDS if guard.bound}
    assert set(named) == {*REFUSALS, *DEFERRALS}
    for bound, guard in named.items():
        table = "REFUSALS" if bound in REFUSALS else "DEFERRALS"
        assert (guard.file, guard.symbol) == ("remediator/bounds/bounds.py", table)
        assert (guard.old, guard.new) == (f'"{bound}": {bound}', "")
        assert guard.guard == f"Every admission evaluates the bound `{bound}`."


def test_every_guard_matches_once_in_its_file() -> None:
    """The file without it is still Python but behaves differently; otherwise its tests prove nothing."""
    for _, guard in GUARDS:
        text = _text(guard.file)
        mutated = guard.remove_from(text)
        assert mutated != text
        if guard.file.endswith(".py"):
            assert ast.dump(ast.parse(mutated)) != _tree(guard.file)


def test_guard_without_a_match_is_named_in_the_error() -> None:
    guard = _unreadable().model_copy(update={"symbol": "parse_delivery"})
    with pytest.raises(
        ValueError, match=r"^remediator/model/delivery\.py: 'none': 0 matches in 'parse_delivery', not one"
    ):
        guard.remove_from(_text(guard.file))


def test_other_files_than_python_are_matched_by_text() -> None:
    guard = _unreadable().model_copy(update={"file": "a.sql", "old": "AND  b", "new": ""})
    assert guard.remove_from("a AND  b") == "a "
    with pytest.raises(ValueError, match=r"^a\.sql: 'none': 0 matches, not one: 'AND  b'$"):
        guard.remove_from("a AND b")


def test_every_named_test_exists() -> None:
    named = {test for _, guard in GUARDS for test in guard.red}
    assert [test for test in sorted(named) if not _exists(test)] == []


def test_tests_name_only_existing_invariants() -> None:
    numbers = {
        int(number)
        for file in (ROOT / "tests").rglob("test_*.py")
        for listed in re.findall(r"\bInvariants? ((?:\d+(?:, | and )?)+)", file.read_text(encoding="utf-8"))
        for number in re.findall(r"\d+", listed)
    }
    assert numbers <= {each.number for each in invariants()}


def test_the_page_is_what_make_docs_writes() -> None:
    for file, text in invariants_page():
        assert file.read_text(encoding="utf-8") == text


def test_only_a_guard_whose_removal_fails_an_assertion_counts() -> None:
    """Each guard is a pytest run. A file that does not import fails every test and proves nothing."""
    guards = [
        _of(9, "A plan with one item more than `max_items` is refused."),
        _of(22, "A delivery with more than 1000 alerts is refused."),
        _unreadable(),
    ]
    assert [(answer.test, answer.red) for answer in answers([(0, guard) for guard in guards])] == [
        (BOUNDS, True),
        (DELIVERY, True),
        (DELIVERY, False),
    ]


def _of(number: int, words: str) -> Guard:
    """Return the guard with only the quick one of its tests."""
    [guard] = [each for of, each in GUARDS if (of, each.guard) == (number, words)]
    [test] = {BOUNDS, DELIVERY} & set(guard.red)
    return guard.model_copy(update={"red": (test,)})


def _unreadable() -> Guard:
    return Guard(
        guard="none",
        file="remediator/model/delivery.py",
        old="import hashlib",
        new="import no_such_thing",
        red=(DELIVERY,),
    )


@cache
def _tree(file: str) -> str:
    return ast.dump(ast.parse(_text(file)))


@cache
def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def _exists(test: str) -> bool:
    file, _, name = test.partition("::")
    place = Path(ROOT / file)
    name, bracket, _ = name.partition("[")
    if bracket and not test.endswith("]"):
        return False
    return (
        place.exists()
        and re.search(rf"def {re.escape(name)}\(|^{re.escape(name)} = ", _text(file), re.MULTILINE) is not None
    )
