"""The page lists exactly the applications that the code protects."""

import re
from pathlib import Path

from remediator.clients.known_applications import PROTECTED
from runbookd.inventory.bounds import Protect

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "remediations.md"


def test_page_lists_exactly_the_protected_names() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("### Known tools")[2]
    table = section.partition("| tools |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([^`]+)`", table)) == set(PROTECTED)


def test_star_makes_a_beginning_of_a_name() -> None:
    assert Protect(applications=("etl", "orders_*")).names_and_prefixes() == (["etl"], ["orders_"])
