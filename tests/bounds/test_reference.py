"""Every invariant and every bound has its guards, and they stand where the list says; some are taken out here."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs.invariants_page import invariants_page
from remediator.bounds import DEFERRALS, REFUSALS
from tests.bounds.guards import FOLDER, ROOT, Guard, invariants
from tests.bounds.mutants import guards_of, try_out

GUARDS = guards_of(invariants())
# `make mutants` takes out all of them; these are quick, and of each kind: one of many bounds, the file, the record.
SAMPLE = [("rate", 3), ("the file", 7), ("a thousand alerts and no more", 22)]


def test_every_invariant_has_its_guards() -> None:
    assert [each.number for each in invariants()] == list(range(1, 29))
    assert {int(file.stem) for file in FOLDER.glob("*.yml")} == {each.number for each in invariants()}


def test_every_bound_is_a_guard() -> None:
    named = {guard.bound: guard for _, guard in GUARDS if guard.bound}
    assert set(named) == {*REFUSALS, *DEFERRALS}
    for bound, guard in named.items():
        assert (guard.file, guard.old, guard.new) == ("remediator/bounds.py", f'    "{bound}": {bound},\n', "")


@pytest.mark.parametrize(("number", "guard"), GUARDS, ids=lambda each: each.guard if isinstance(each, Guard) else None)
def test_every_guard_stands_where_it_is_said_to(number: int, guard: Guard) -> None:
    """Once, so that exactly it is taken out; and what is left can still be read, or its tests would prove nothing."""
    left = guard.spoiled(_text(guard.file))
    if guard.file.endswith(".py"):
        ast.parse(left)


def test_every_named_test_exists() -> None:
    named = {test for _, guard in GUARDS for test in guard.red}
    assert [test for test in sorted(named) if not _exists(test)] == []


def test_tests_name_only_invariants_that_there_are() -> None:
    said = {
        int(number)
        for file in (ROOT / "tests").rglob("test_*.py")
        for listed in re.findall(r"\bInvariants? ((?:\d+(?:, | and )?)+)", file.read_text(encoding="utf-8"))
        for number in re.findall(r"\d+", listed)
    }
    assert said <= {each.number for each in invariants()}


def test_the_page_is_what_make_docs_writes() -> None:
    for file, text in invariants_page():
        assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", SAMPLE, ids=lambda each: each[0])
def test_without_its_guard_a_test_turns_red(name: tuple[str, int]) -> None:
    [(number, guard)] = [(n, each) for n, each in GUARDS if (each.bound or each.guard, n) == name]
    answers = try_out(number, guard.model_copy(update={"red": guard.red[:1]}))
    assert [answer.red for answer in answers] == [True], answers


def test_what_can_not_be_read_proves_nothing() -> None:
    """Nor does a test that stumbles over what is not there."""
    test = "tests/unit/remediator/test_delivery.py::test_nanoseconds_are_read_and_cut"
    for old, new in (("MAX_ALERTS = 1_000", "MAX_ALERTS ="), ("import hashlib\n", "import no_such_thing\n")):
        guard = Guard(guard="none", file="remediator/delivery.py", old=old, new=new, red=(test,))
        assert [answer.red for answer in try_out(0, guard)] == [False]


@cache
def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def _exists(test: str) -> bool:
    file, _, name = test.partition("::")
    place = Path(ROOT / file)
    name = re.escape(name.partition("[")[0])
    return place.exists() and re.search(rf"def {name}\(|^{name} = ", _text(file), re.MULTILINE) is not None
