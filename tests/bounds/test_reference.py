"""docs/invariants.md names tests that there are, and every invariant that a test names."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = [line for line in (ROOT / "docs" / "invariants.md").read_text().splitlines() if re.match(r"\| \d", line)]


def test_every_named_test_exists() -> None:
    named = [name for line in ROWS for name in re.findall(r"`(tests/\S+)`", line)]
    missing = []
    for name in named:
        file, _, function = name.partition("::")
        place = ROOT / file
        if not place.exists() or (function and not re.search(rf"def {function}\b", place.read_text())):
            missing.append(name)
    assert missing == []


def test_every_invariant_has_a_line_and_a_test() -> None:
    numbers = [int(line.split("|")[1]) for line in ROWS]
    assert numbers == list(range(1, len(ROWS) + 1))
    assert all("tests/" in line or "the machine" in line for line in ROWS)
    said = {
        int(number)
        for file in (ROOT / "tests").rglob("test_*.py")
        for listed in re.findall(r"\bInvariants? ((?:\d+(?:, | and )?)+)", file.read_text())
        for number in re.findall(r"\d+", listed)
    }
    assert said <= set(numbers)
